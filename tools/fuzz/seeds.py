"""Small sound images of every format, mode and compression that the decoders know."""

from __future__ import annotations

import io
import struct
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
    groups = (_jpegs, _pngs, _gifs, _bmps, _tiffs, _webps, _avifs, _heics, _netpbms, _others)
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


def _netpbms() -> Iterator[tuple[str, bytes]]:
    size = f"{SIZE[0]} {SIZE[1]}".encode()
    grey, colours = picture("L").tobytes(), picture().tobytes()
    plain = " ".join(str(value) for value in grey).encode()
    yield (
        "netpbm-P1",
        b"P1\n" + size + b"\n" + b"".join(b"01"[v // 128 : v // 128 + 1] for v in grey),
    )
    yield "netpbm-P2", b"P2 # a comment\n" + size + b"\n255\n" + plain
    yield "netpbm-P3", b"P3\n" + size + b"\n255\n" + " ".join(map(str, colours)).encode()
    for mode in ("1", "L", "RGB", "I;16"):
        yield f"netpbm-{mode}", encode(picture(mode), "ppm")
    yield "netpbm-P5-of-15", b"P5\n" + size + b"\n15\n" + bytes(value // 16 for value in grey)
    fields = b"P7\nWIDTH %d\nHEIGHT %d\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n" % SIZE
    yield "netpbm-P7", fields + picture("RGBA").tobytes()
    floats = np.asarray(picture(), np.float32) / 255
    yield "netpbm-PF", b"PF\n" + size + b"\n-1.0\n" + floats.astype("<f4").tobytes()
    yield "netpbm-Pf", b"Pf\n" + size + b"\n1.0\n" + floats[..., 0].astype(">f4").tobytes()


def _others() -> Iterator[tuple[str, bytes]]:
    for mode in ("L", "RGB", "RGBA", "I;16"):
        yield f"jp2-{mode}", encode(picture(mode), "jpeg2000")
    yield "jp2-codestream", encode(picture(), "jpeg2000", no_jp2=True)
    yield "jp2-tiles", encode(picture(), "jpeg2000", tile_size=(16, 16))
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        yield f"tga-{mode}", encode(picture(mode), "tga")
        if mode not in ("1", "LA"):
            yield f"tga-{mode}-rle", encode(picture(mode), "tga", compression="tga_rle")
    for mode in ("1", "L", "P", "RGB"):
        yield f"pcx-{mode}", encode(picture(mode), "pcx")
    for name, options in (("png", {}), ("bmp", {"bitmap_format": "bmp"})):
        data = encode(picture("RGBA"), "ico", sizes=[(32, 32), (16, 16)], **options)
        yield f"ico-{name}", data
        if name == "bmp":
            yield "cur-bmp", data[:2] + b"\2" + data[3:]
    yield "icns-RGBA", encode(picture("RGBA").resize((64, 64)), "icns")
    for mode in ("L", "LA", "RGB", "RGBA"):
        yield f"dds-{mode}", encode(picture(mode), "dds")
    for pixels in ("DXT1", "DXT3", "DXT5", "BC5"):
        mode = "RGB" if pixels == "BC5" else "RGBA"
        yield f"dds-{pixels}", encode(picture(mode), "dds", pixel_format=pixels)
    for mode in ("L", "RGB", "RGBA"):
        yield f"sgi-{mode}", encode(picture(mode), "sgi")
    yield "sgi-deep", encode(picture(), "sgi", bpc=2)
    yield "qoi-RGB", encode(picture(), "qoi")
    yield "qoi-RGBA", encode(picture("RGBA"), "qoi")
    grey, colours = picture("L").tobytes(), picture().tobytes()
    for kind, depth, body in ((1, 8, grey), (3, 24, colours), (2, 8, _sun_runs(grey))):
        yield (
            f"sun-{kind}",
            struct.pack(">8I", 0x59A66A95, *SIZE, depth, len(body), kind, 0, 0) + body,
        )


def _sun_runs(values: bytes) -> bytes:
    """Sun's run lengths, of which a single 128 needs one, too."""
    return b"".join(b"\x80\0" if value == 128 else bytes([value]) for value in values)
