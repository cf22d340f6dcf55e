"""PNG files of drawings, in half the time that Pillow takes: one filter for all rows.

Pillow tries five filters on each row. Where a drawing is flat or a photo is smooth, the row above
is a good guess, and the file is a few per cent larger.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

MARK = "retrain explain"
"""What the pictures say of who wrote them, so that no other file is ever replaced by one."""

_KEYWORD = "Software"
_AT_THE_START = 4096
"""Bytes of a file in which the mark is, if it is there."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
"""The filter that takes off the row above (PNG specification, 9.2)."""
_QUICK = 1
"""Of zlib's levels."""


def save_quickly(image: Image.Image, path: Path) -> None:
    """Write an image of mode RGB, marked as ours; one of another mode is left to Pillow."""
    if image.mode != "RGB":
        mark = PngInfo()
        mark.add_text(_KEYWORD, MARK)
        image.save(path, "PNG", compress_level=_QUICK, pnginfo=mark)
        return
    rows = np.asarray(image).reshape(image.height, -1)
    filtered = np.empty((image.height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), _QUICK)
    text = f"{_KEYWORD}\0{MARK}".encode("latin-1")
    parts = (_chunk(b"IHDR", header), _chunk(b"tEXt", text), _chunk(b"IDAT", body))
    path.write_bytes(_SIGNATURE + b"".join(parts) + _chunk(b"IEND", b""))


def is_ours(path: Path) -> bool:
    """Whether a file bears the mark, or is not there.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(_AT_THE_START)
    except FileNotFoundError:
        return True


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
