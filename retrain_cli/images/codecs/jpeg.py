"""JPEG without what a hostile file holds to keep its reader busy.

Pillow puts all EXIF segments of a file together, one by one: 2,000 of them take it minutes.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from PIL import Image, JpegImagePlugin

_MOST_EXIF = 16
"""EXIF segments of a file: a megabyte, of which the first has the orientation."""

_APP1, _SOS = 0xE1, 0xDA


def open_jpeg(data: bytes) -> Image.Image:
    """Read the header of a JPEG, with no more metadata than it needs."""
    opener: Any = JpegImagePlugin.jpeg_factory
    image: Image.Image = opener(io.BytesIO(essence(data)))
    return image


def essence(data: bytes) -> bytes:
    """The file itself; with the first of its EXIF segments only where there are very many."""
    segments = list(_exif_segments(data))
    if len(segments) <= _MOST_EXIF:
        return data
    parts, at = [], 0
    for start, end in segments[1:]:
        parts.append(data[at:start])
        at = end
    return b"".join([*parts, data[at:]])


def _exif_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the EXIF segments in front of the pixels begin and end."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SOS:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == _APP1 and data[at + 4 : at + 8] == b"Exif":
            yield at, end
        at = end


def scans(data: bytes) -> int:
    """How many scans there are, about; 1 where the first holds all that a baseline JPEG has.

    Only then does a decoder go through the pixels once, whatever follows.
    """
    at, frame, bands = 2, 0, 0
    while at + 10 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _SOS:
            is_once = frame in (0xC0, 0xC1) and data[at + 4] == bands
            return 1 if is_once else data.count(b"\xff\xda")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            frame, bands = marker, data[at + 9]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.count(b"\xff\xda")
