"""PNG files of drawings, in a fraction of the time that Pillow takes: one filter for all rows.

Pillow tries five filters on each row. Where a drawing is flat or a photo is smooth, the row above
is a good guess, and the file is a few per cent larger. ISA-L compresses it several times as fast as
zlib does at its quickest, to the same size.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

MARK = "retrain explain"
"""What the pictures say of who wrote them, so that no other file is ever replaced by one."""

_KEYWORD = "Software"
_AT_THE_START = 4096
"""Bytes of a file in which the mark is, if it is there."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _INDEXED = 2, 3
_NONE, _UP = 0, 2
"""No filter, and the one that takes off the row above (PNG specification, 9.2)."""
_QUICK = 1
"""Of ISA-L's levels, 0 to 3."""


def save_quickly(picture: NDArray[np.uint8], path: Path, palette: bytes = b"") -> None:
    """Write a picture, marked as ours.

    Args:
        picture: `(height, width, 3) uint8` RGB or, with a palette, `(height, width) uint8` of it.
        path: of the file.
        palette: its colours, three bytes each; none for RGB.
    """
    height, width = picture.shape[:2]
    rows = picture.reshape(height, -1)
    filtered = np.empty((height, 1 + rows.shape[1]), np.uint8)
    if palette:
        filtered[:, 0], filtered[:, 1:] = _NONE, rows
    else:
        filtered[:, 0], filtered[0, 1:] = _UP, rows[0]
        np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    kind = _INDEXED if palette else _RGB
    with path.open("wb") as file:
        file.write(_SIGNATURE)
        _write(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        _write(file, b"tEXt", f"{_KEYWORD}\0{MARK}".encode("latin-1"))
        if palette:
            _write(file, b"PLTE", palette)
        _write(file, b"IDAT", isal_zlib.compress(filtered, _QUICK))
        _write(file, b"IEND", b"")


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


def _write(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", isal_zlib.crc32(data, isal_zlib.crc32(kind))))
