"""Pictures that the tests of decoding draw and encode, and how they look at what comes out."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import PIL
import pytest
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.errors import ImageError
from retrain_cli.images.decode import decode_image

RED, GREEN, BLUE, WHITE = (230, 20, 20), (20, 200, 20), (20, 20, 220), (255, 255, 255)


_NEW_IN_PILLOW_13 = ("tif/grey-associated-u8", "tif/ycbcr-u8")


def skip_where_pillow_is_older(name: str) -> None:
    """Skip a kind of TIFF that Pillow reads from version 13 on, which Python 3.10 does not get."""
    is_new = name.replace("reference-tif-", "tif/").startswith(_NEW_IN_PILLOW_13)
    is_new = is_new and not name.endswith("planar")  # is refused by all of them
    if is_new and int(PIL.__version__.split(".")[0]) < 13:
        pytest.skip("Pillow before 13 cannot read it")


def encode(image: Image.Image, kind: str = "png", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def quadrants(width: int = 64, height: int = 48) -> Image.Image:
    """Red, green, blue and white corners: every turn and flip of it looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = WHITE
    return Image.fromarray(pixels)


def corners(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Colours (4, 3) well inside the four quadrants, row by row."""
    height, width = pixels.shape[:2]
    rows, columns = (height // 4, height * 3 // 4), (width // 4, width * 3 // 4)
    return np.array([pixels[row, column] for row in rows for column in columns], dtype=np.int64)


def is_near(found: Any, expected: Any, tolerance: float = 14) -> bool:
    return bool(np.abs(np.asarray(found, float) - np.asarray(expected, float)).max() <= tolerance)


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, (32, 32))
    message = str(caught.value)
    assert "\n" not in message
    return message


FORMATS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": 95},
    "png": {},
    "gif": {},
    "bmp": {},
    "tiff": {"compression": "tiff_lzw"},
    "webp": {"quality": 95},
    "avif": {"quality": 95},
}


def big_endian_tiff(values: NDArray[np.uint16]) -> bytes:
    """A TIFF of the Motorola byte order (mode I;16B), written by hand."""
    height, width = values.shape
    fields = [(256, 3, width), (257, 3, height), (258, 3, 16), (259, 3, 1), (262, 3, 1)]
    fields += [(273, 4, 8), (277, 3, 1), (278, 3, height), (279, 4, values.size * 2)]
    body = values.astype(">u2").tobytes()
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1)
        + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in fields
    )
    header = b"MM\0*" + struct.pack(">I", 8 + len(body))
    return header + body + struct.pack(">H", len(fields)) + entries + b"\0\0\0\0"


def half_transparent(mode: str) -> Image.Image:
    """Left half red (or grey) and opaque, right half black and fully transparent."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((*RED, 255), (0, 0, 32, 64))
    return image.convert(mode)


SAMPLES = [encode(quadrants(24, 18), kind, **options) for kind, options in FORMATS.items()]
SAMPLES += [
    encode(half_transparent("RGBA")),
    encode(quadrants().convert("CMYK"), "jpeg"),
    encode(quadrants(), "jpeg", progressive=True),
    big_endian_tiff(np.zeros((6, 6), np.uint16)),
]
