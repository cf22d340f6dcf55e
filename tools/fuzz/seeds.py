"""Small sound images of every format, mode and compression that the decoders know."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

SIZE = (48, 40)  # (width, height); small, so that a case takes about a millisecond
_TIFF_COMPRESSIONS = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma")
_TIFF_MODES = ("L", "RGB", "RGBA", "CMYK", "LAB", "YCbCr", "I;16", "I", "F", "P")


@cache
def sound_images() -> dict[str, bytes]:
    """Encoded images by a name that begins with their format, such as "tiff-F-lzma"."""
    groups = (_jpegs, _pngs, _gifs, _bmps, _tiffs, _webps, _avifs, _heics)
    return {name: data for group in groups for name, data in group()}


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def picture(mode: str = "RGB", shade: int = 0) -> Image.Image:
    """A picture with edges and slopes, for flat colour exercises no decoder; `shade` 0 to 255."""
    x, y = np.meshgrid(np.linspace(0, 255, SIZE[0]), np.linspace(0, 255, SIZE[1]))
    planes = (x, y, (x + y + shade) % 256)
    image = Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))
    if mode in ("I", "I;16", "F"):
        scale = {"I": 100_000, "I;16": 257, "F": 1 / 255}[mode]
        dtype = {"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]
        return Image.fromarray((x * scale).astype(dtype))
    if mode == "LAB":
        return Image.merge("LAB", image.split())
    return image.convert(mode)


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photo that lies on its side"
    return exif.tobytes()


def _frames() -> dict[str, Any]:
    return {"save_all": True, "append_images": [picture(shade=80), picture(shade=160)]}


def _jpegs() -> Iterator[tuple[str, bytes]]:
    for mode in ("L", "RGB", "CMYK", "YCbCr"):
        yield f"jpeg-{mode}", encode(picture(mode), "jpeg")
        yield f"jpeg-{mode}-progressive", encode(picture(mode), "jpeg", progressive=True)
    yield "jpeg-exif", encode(picture(), "jpeg", exif=_exif(), subsampling=0)
    yield "jpeg-restarts", encode(picture(), "jpeg", restart_marker_blocks=2)
    yield "jpeg-mpo", encode(picture(), "mpo", **_frames())


def _pngs() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield f"png-{mode}", encode(picture(mode), "png")
    yield "png-transparent", encode(picture("P"), "png", transparency=bytes(range(200)))
    yield "png-exif", encode(picture(), "png", exif=_exif())
    yield "png-animated", encode(picture(), "png", **_frames())


def _gifs() -> Iterator[tuple[str, bytes]]:
    yield "gif-P", encode(picture("P"), "gif")
    yield "gif-L-interlaced", encode(picture("L"), "gif", interlace=True)
    yield "gif-animated", encode(picture(), "gif", **_frames(), transparency=3)


def _bmps() -> Iterator[tuple[str, bytes]]:
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        yield f"bmp-{mode}", encode(picture(mode), "bmp")


def _tiffs() -> Iterator[tuple[str, bytes]]:
    for compression in _TIFF_COMPRESSIONS:
        for mode in _TIFF_MODES:
            if (mode, compression) == ("YCbCr", "raw"):
                continue  # Pillow before 13 cannot read what it writes there
            if compression != "jpeg" or mode in ("L", "RGB", "CMYK", "YCbCr"):
                data = encode(picture(mode), "tiff", compression=compression)
                yield f"tiff-{mode}-{compression}", data
    for fax in ("group3", "group4", "tiff_ccitt"):
        yield f"tiff-1-{fax}", encode(picture("1"), "tiff", compression=fax)
    yield "tiff-big", encode(picture(), "tiff", big_tiff=True)
    yield "tiff-exif", encode(picture(), "tiff", exif=_exif())
    yield "tiff-pages", encode(picture(), "tiff", **_frames())


def _webps() -> Iterator[tuple[str, bytes]]:
    for mode in ("RGB", "RGBA"):
        for lossless in (False, True):
            name = f"webp-{mode}-{'lossless' if lossless else 'lossy'}"
            yield name, encode(picture(mode), "webp", lossless=lossless, exif=_exif())
    yield "webp-animated", encode(picture(), "webp", **_frames())


def _avifs() -> Iterator[tuple[str, bytes]]:
    for mode in ("L", "RGB", "RGBA"):
        yield f"avif-{mode}", encode(picture(mode), "avif", speed=10, exif=_exif())
    yield "avif-animated", encode(picture(), "avif", speed=10, **_frames())


def _heics() -> Iterator[tuple[str, bytes]]:
    try:
        import pillow_heif
    except ImportError:
        return
    for mode in ("L", "RGB", "RGBA"):
        out = io.BytesIO()
        pillow_heif.from_pillow(picture(mode)).save(out, quality=60, exif=_exif())
        yield f"heic-{mode}", out.getvalue()
