"""What decoding an image will take, by its header: memory, and signs that it may take long.

Bytes a pixel were measured with Pillow 13 on images of 50 megapixels; see docs/reliability.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from retrain_cli.images.codecs.jpeg import scans
from retrain_cli.images.formats import ImageFormat
from retrain_cli.images.limits.av1 import coded_pixels

BYTES_A_PIXEL = 8
"""What ordinary formats take: the pixels, and as much again on the way to RGB."""

_TAKEN: Final[dict[ImageFormat, int]] = {"webp": 16, "avif": 16, "heic": 16, "jp2": 24, "icns": 24}
_MOST_HERE = 1 << 29
"""Decoders with memory of their own that will take more bytes are put into a process of theirs."""

_MOST_SCANS = 100  # of a JPEG: programs write 10 to 14
_TILE_WIDTH, _TILE_LENGTH, _ROWS_A_STRIP = 322, 323, 278
_COUNTS: Final = (325, 279)  # bytes of tiles, of strips
_OFFSETS: Final = (324, 273)
_SAMPLES, _BITS = 277, 258
_MOST_PARTS = 1 << 16
_PYTHON_PIXELS = 2_000_000  # decoded in Python, as Pillow does QOI, plain DDS and packed BMP: 5 s


@dataclass(frozen=True)
class Cost:
    """What decoding takes.

    Attributes:
        memory: bytes, about.
        is_suspicious: it takes so much memory, or may take so long, that a process of its own has
            to do it.
    """

    memory: int
    is_suspicious: bool = False


def cost_of(image: Image.Image, name: ImageFormat, data: bytes) -> Cost:
    """Cost of decoding an image whose header was read.

    Args:
        image: as opened, before any draft.
        name: its format.
        data: the file.
    """
    pixels = image.width * image.height
    memory, is_odd = pixels * _TAKEN.get(name, BYTES_A_PIXEL), False
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return _jpeg_cost(image, pixels, data)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        memory, is_odd = _tiff_cost(image, memory, data)
    elif name == "avif":
        coded = coded_pixels(data)
        is_odd = coded is None or coded > pixels
        memory = max(coded or 0, pixels) * _TAKEN["avif"]
    elif pixels > _PYTHON_PIXELS:
        is_odd = any(tile[0] in Image.DECODERS for tile in getattr(image, "tile", ()))
    return Cost(memory, is_odd or (name in _TAKEN and memory > _MOST_HERE))


def _jpeg_cost(image: JpegImagePlugin.JpegImageFile, pixels: int, data: bytes) -> Cost:
    """All coefficients of a progressive JPEG are in memory, at full size whatever the draft."""
    coefficients = 2 * pixels * image.layers if image.info.get("progressive") else 0
    return Cost(coefficients, coefficients > _MOST_HERE or scans(data) > _MOST_SCANS)


def _tiff_cost(image: Any, memory: int, data: bytes) -> tuple[int, bool]:
    """Tiles may be larger than the image, share their bytes, or be many."""
    tags = image.tag_v2
    sample_bits = max((bits for bits in tags.get(_BITS, (1,)) if isinstance(bits, int)), default=8)
    width, height = image._tile_size
    tile_width = _number(tags.get(_TILE_WIDTH), width)
    tile_height = _number(tags.get(_TILE_LENGTH) or tags.get(_ROWS_A_STRIP), height)
    if _TILE_WIDTH not in tags:
        tile_height = min(tile_height, height)
    tile_bytes = tile_width * tile_height * _number(tags.get(_SAMPLES), 1) * sample_bits // 8
    counts = [count for tag in _COUNTS for count in tags.get(tag, ())]
    offsets = {offset for tag in _OFFSETS for offset in tags.get(tag, ())}
    is_shared = sum(counts) > len(data) or len(offsets) < len(counts)
    is_large = tile_bytes > max(_MOST_HERE, memory // 2) or tile_bytes > memory + _MOST_HERE // 8
    return memory + tile_bytes, is_shared or is_large or len(counts) > _MOST_PARTS


def _number(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
