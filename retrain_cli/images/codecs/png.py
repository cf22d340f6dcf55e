"""PNG by its pixels: whatever else a file carries cannot make it bad.

Pillow refuses a file for a text chunk of a megabyte, or for a wrong checksum or length in a chunk
that no pixel depends on; the standard (13.2 and 5.4) has decoders ignore what is wrong with such
chunks. So only the chunks that pixels and orientation come from are handed on, if they are sound.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image, PngImagePlugin

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MOST_TEXT = 1 << 20
_GREY, _RGB, _PALETTE = 0, 2, 3
_TURNING_TEXTS: Final = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
"""Texts that may hold an orientation: XMP, and EXIF as ImageMagick once wrote it."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    end: int


def open_png(data: bytes) -> Image.Image:
    """Read the header of a PNG, whatever the state of its metadata."""
    needed = essence(data)
    image = PngFile(io.BytesIO(needed))
    image.settle_transparency(needed)
    return image


class PngFile(PngImagePlugin.PngImageFile):
    """Pillow's reader, which compares a transparent colour with pixels of 8 bits only."""

    _key: tuple[int, int, int] | None = None
    _source: bytes = b""

    def settle_transparency(self, data: bytes) -> None:
        """Give the transparent colour in the scale that Pillow gives the pixels.

        Args:
            data: the file.
        """
        key: Any = self.info.get("transparency")
        if key is None:
            return
        bits, colour_type = data[24], data[25]
        most = (1 << bits) - 1
        if colour_type == _GREY and bits <= 8:
            raw = int(bool(key)) if bits == 1 else key & most
            self.info["transparency"] = raw * 255 // most
        elif colour_type == _RGB and bits == 8:
            self.info["transparency"] = tuple(value & most for value in key)
        elif colour_type == _RGB:
            self._key, self._source = key, data
            del self.info["transparency"]

    def load(self) -> Any:
        """Decode; what has the transparent colour in all 16 bits of each band becomes white."""
        loaded = super().load()
        if self._key is not None:
            key, self._key = self._key, None
            self.paste((255, 255, 255), mask=Image.fromarray(self._has(key)))
            loaded = super().load()
        return loaded

    def _has(self, key: tuple[int, int, int]) -> Any:
        """Where pixels have a colour, `(height, width) uint8`, 0 or 255."""
        low = PngImagePlugin.PngImageFile(io.BytesIO(self._source))
        low.info.pop("transparency", None)
        low.tile = [tile._replace(args="RGB;16L") for tile in low.tile]  # the lower bytes instead
        upper, lower = np.asarray(self), np.asarray(low)
        same = np.full(upper.shape[:2], 255, np.uint8)
        for band, value in enumerate(key):
            same[upper[..., band] != value >> 8] = 0
            same[lower[..., band] != value & 255] = 0
        return same


def essence(data: bytes) -> bytes:
    """The file without the chunks that no pixel depends on, itself where there are none.

    What follows a fault in the order of chunks is left for the decoder to judge.
    """
    chunks = list(_chunks(data))
    if not any(chunk.kind == b"IDAT" for chunk in chunks):
        return data
    kept = list(_kept(data, chunks))
    if len(kept) == len(chunks):
        return data
    parts = [data[: len(SIGNATURE)], *(data[chunk.start : chunk.end] for chunk in kept)]
    return b"".join(parts)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Chunk by chunk up to `IEND`, what is no chunk, or the end of the data, which may cut one."""
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        if not kind.isalpha():
            yield _Chunk(b"", at, len(data))
            return
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield _Chunk(kind, at, min(end, len(data)))
        if kind == b"IEND" or end > len(data):
            return
        at = end


def _kept(data: bytes, chunks: list[_Chunk]) -> Iterator[_Chunk]:
    seen: set[bytes] = set()
    for chunk in chunks:
        is_critical = not chunk.kind or chunk.kind[:1].isupper()
        if is_critical or _is_of_use(data, chunk, seen):
            yield chunk
        seen.add(chunk.kind)


def _is_of_use(data: bytes, chunk: _Chunk, seen: set[bytes]) -> bool:
    """Whether an ancillary chunk is sound, and bears on the pixels or on which side is up."""
    body = data[chunk.start + 8 : chunk.end - 4]
    if chunk.kind == b"tRNS":
        place = b"IDAT" not in seen and b"tRNS" not in seen
        return place and _is_sound(data, chunk) and _fits(body, data[25], b"PLTE" in seen)
    if chunk.kind == b"eXIf":
        return _is_sound(data, chunk)
    if chunk.kind in (b"tEXt", b"zTXt", b"iTXt") and body.startswith(_TURNING_TEXTS):
        return _is_sound(data, chunk) and _is_short(chunk.kind, body)
    return False


def _is_sound(data: bytes, chunk: _Chunk) -> bool:
    checksum = int.from_bytes(data[chunk.end - 4 : chunk.end], "big")
    return zlib.crc32(memoryview(data)[chunk.start + 4 : chunk.end - 4]) == checksum


def _fits(transparency: bytes, colour_type: int, has_palette: bool) -> bool:
    """Whether `tRNS` has the length that the kind of image gives it."""
    if colour_type == _PALETTE:
        return has_palette and 0 < len(transparency) <= 256
    return len(transparency) == {_GREY: 2, _RGB: 6}.get(colour_type, -1)


def _is_short(kind: bytes, body: bytes) -> bool:
    """Whether a text is no longer than Pillow reads, unpacked."""
    _, _, rest = body.partition(b"\0")
    if kind == b"iTXt":
        is_packed = rest[:1] == b"\1"
        packed = rest[2:].split(b"\0", 2)[-1] if is_packed else b""
    else:
        packed = rest[1:] if kind == b"zTXt" else b""
    if len(body) > _MOST_TEXT:
        return False
    try:
        unpacking = zlib.decompressobj()
        unpacking.decompress(packed, _MOST_TEXT)
    except zlib.error:
        return False
    return not unpacking.unconsumed_tail
