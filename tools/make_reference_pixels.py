"""Make tests/data/formats: small images of many formats, and the pixels that they should give.

    python tools/make_reference_pixels.py     # needs ImageMagick's `convert`

TIFF, PNG and GIF files come from tools/reference, which writes them byte by byte. All others are
written by ImageMagick, from which all expected pixels come as well, but for those of a few TIFFs
that ImageMagick 6 shows as negatives: they are what TIFF 6.0 says, page 37.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reference.gifs import gifs
from reference.picture import GREY, HEIGHT, RGB, WIDTH
from reference.pngs import pngs
from reference.tiffs import tiffs

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "formats"
EXPECTED = "expected.npz"

UNLIKE_IMAGEMAGICK = {
    "tif/grey-white0-u2": "not inverted there",
    "tif/grey-white0-u4": "not inverted there",
    "tif/grey-white0-u12": "not inverted there",
    "tif/grey-white0-u32": "not inverted there",
    "tif/grey-white0-f32": "not inverted there",
    "tif/grey-black0-i16": "half of the range is left to negative values there",
    "tif/grey-black0-u32-of16": "what fits 16 bits is not taken as that there",
}
"""Beginnings of the names whose pixels are computed here, and why."""

_TOP = ("-orient", "TopLeft")
_WRITTEN: dict[str, list[str]] = {
    "rgb.ppm": [], "plain.ppm": ["-compress", "none"], "rgb16.ppm": ["-depth", "16"],
    "grey.pgm": [], "plain.pgm": ["-compress", "none"], "grey16.pgm": ["-depth", "16"],
    "grey4.pgm": ["-depth", "4"], "bits.pbm": [], "plain.pbm": ["-compress", "none"],
    "rgb.pam": [], "rgb16.pam": ["-depth", "16"], "alpha.pam": ["ALPHA"], "rgb.pfm": [],
    "grey.pfm": ["-colorspace", "Gray"], "big.pfm": ["-endian", "MSB"],
    "lossless.jp2": ["-quality", "100"], "lossless.j2k": ["-quality", "100"],
    "grey.jp2": ["-colorspace", "Gray", "-quality", "100"], "deep.jp2": ["-depth", "16"],
    "alpha.jp2": ["ALPHA", "-quality", "100"],
    "rgb.tga": [*_TOP], "alpha.tga": ["ALPHA", *_TOP], "rle.tga": ["-compress", "RLE", *_TOP],
    "grey.tga": ["-colorspace", "Gray", *_TOP], "palette.tga": ["-type", "Palette", *_TOP],
    "bottom.tga": ["-flip", "-orient", "BottomLeft"],
    "right.tga": ["-flop", "-orient", "TopRight"],
    "rgb.pcx": [], "palette.pcx": ["-type", "Palette"], "bits.pcx": ["-monochrome"],
    "rgb.ico": [], "alpha.ico": ["ALPHA"], "palette.ico": ["-type", "Palette"],
    "rgb.dds": ["-define", "dds:compression=none"], "dxt1.dds": ["-define", "dds:compression=dxt1"],
    "dxt5.dds": ["ALPHA", "-define", "dds:compression=dxt5"],
    "alpha.dds": ["ALPHA", "-define", "dds:compression=none"],
    "rgb.sgi": ["-compress", "none"], "rle.sgi": ["-compress", "RLE"],
    "alpha.sgi": ["ALPHA"], "grey.sgi": ["-colorspace", "Gray"], "deep.sgi": ["-depth", "16"],
    "rgb.sun": [], "grey.sun": ["-colorspace", "Gray"], "palette.sun": ["-type", "Palette"],
    "bits.sun": ["-monochrome"],
    "rgb.bmp": [], "alpha.bmp": ["ALPHA"], "palette.bmp": ["-type", "Palette"],
    "bits.bmp": ["-monochrome"], "old.bmp": ["BMP2"],
    "rle.bmp": ["-type", "Palette", "-compress", "RLE"],
    "lossless.webp": ["-define", "webp:lossless=true"],
    "alpha.webp": ["ALPHA", "-define", "webp:lossless=true"],
    "rgb.jpg": ["-quality", "98", "-sampling-factor", "1x1"], "grey.jpg": ["-colorspace", "Gray"],
    "cmyk.jpg": ["-colorspace", "CMYK", "-quality", "98"],
    "progressive.jpg": ["-interlace", "JPEG", "-quality", "98", "-sampling-factor", "1x1"],
}  # fmt: skip


def has_imagemagick() -> bool:
    """Whether the `convert` that is here is ImageMagick's: other programs have that name, too."""
    if shutil.which("convert") is None:
        return False
    done = subprocess.run(["convert", "-version"], capture_output=True, check=False)
    return done.returncode == 0 and b"ImageMagick" in done.stdout


def main() -> int:
    """Run the tool; returns its exit status."""
    if not has_imagemagick():
        print("this needs ImageMagick: apt-get install imagemagick", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, data in written_by_imagemagick(Path(scratch)):
            (FOLDER / name).write_bytes(data)
        expected = {name: expected_pixels(name, data) for name, data in samples()}
    np.savez_compressed(FOLDER / EXPECTED, **expected)  # type: ignore[arg-type]
    print(f"{len(expected)} images, {(FOLDER / EXPECTED).stat().st_size:,} bytes of pixels")
    return 0


def samples() -> Iterator[tuple[str, bytes]]:
    """All images, by names such as `tif/grey-white0-u16` and `tga/rle.tga`."""
    for kind, images in (("tif", tiffs), ("png", pngs), ("gif", gifs)):
        yield from ((f"{kind}/{name}", data) for name, data in images())
    for path in sorted(FOLDER.iterdir()):
        if path.name != EXPECTED:
            yield f"{path.suffix[1:]}/{path.name}", path.read_bytes()


def written_by_imagemagick(scratch: Path) -> Iterator[tuple[str, bytes]]:
    """Files of the formats that tools/reference does not write."""
    source = scratch / "picture.rgba"
    alpha = np.broadcast_to(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, WIDTH))
    source.write_bytes(np.concatenate([RGB, alpha[..., None]], axis=-1).tobytes())
    size = ["-size", f"{WIDTH}x{HEIGHT}", "-depth", "8"]
    for name, options in _WRITTEN.items():
        way = [] if "ALPHA" in options else ["-background", "white", "-alpha", "off"]
        prefix = "BMP2:" if "BMP2" in options else ""
        way += [option for option in options if option not in ("ALPHA", "BMP2")]
        target = scratch / name
        _convert([*size, f"rgba:{source}", "-strip", *way, f"{prefix}{target}"])
        yield name, target.read_bytes()


def expected_pixels(name: str, data: bytes) -> NDArray[np.uint8]:
    """What an image should give, `(18, 20, 3) uint8`, transparency on white."""
    if any(name.startswith(beginning) for beginning in UNLIKE_IMAGEMAGICK):
        return _by_the_standard(name)
    return by_imagemagick(name, data)


def by_imagemagick(name: str, data: bytes) -> NDArray[np.uint8]:
    """What ImageMagick gives.

    Raises:
        RuntimeError: it does not read the file.
    """
    kind = name.partition("/")[0].replace("tif", "tiff")
    white = ["-background", "white", "-flatten", "-colorspace", "sRGB", "-type", "TrueColor"]
    turned = ["-auto-orient"] if kind == "tga" else []
    found = _convert([f"{kind}:-[0]", *turned, *white, "-depth", "8", "rgb:-"], data)
    return np.frombuffer(found, np.uint8).reshape(HEIGHT, WIDTH, 3)


def _by_the_standard(name: str) -> NDArray[np.uint8]:
    if "-i16" in name:
        grey = np.rint(np.rint(GREY / 255 * 32767) / 257)
    elif "-u32-of16" in name:
        grey = GREY.astype(np.float64)
    else:
        bits = name.split("-")[2]
        most = (1 << int(bits[1:])) - 1 if bits[0] == "u" else 1 << 24
        grey = np.rint(np.rint(GREY / 255 * most) / most * 255)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def _convert(arguments: list[str], data: bytes | None = None) -> bytes:
    command: list[Any] = ["convert", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode and not done.stdout:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()[:300]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
