"""Size of the pictures that an AVIF really codes, which need not be what its boxes say.

Boxes: ISO/IEC 14496-12; sequence header: AV1 Bitstream & Decoding Process Specification, 5.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_SEQUENCE_HEADER, _TEMPORAL_DELIMITER = 1, 2
_MOST_ITEMS = 4096


def coded_pixels(data: bytes) -> int | None:
    """Pixels of the largest picture by the sequence headers; None where they cannot be looked at.

    That is so where items are stored in an unusual way, and in sequences of pictures.
    """
    if b"moov" in data[: 1 << 16] or b"moov" in data[-(1 << 16) :]:
        return None
    try:
        sizes = [_sequence_pixels(data, offset) for offset in _items(data)]
    except (struct.error, IndexError, ValueError):
        return None
    return max((size for size in sizes if size is not None), default=None)


def _items(data: bytes) -> Iterator[int]:
    """Where the items begin, by the box `iloc`.

    Raises:
        ValueError: it is none that still pictures have.
    """
    place = data.find(b"iloc", 0, 1 << 20)
    if place < 0 or data.find(b"iloc", place + 4, 1 << 20) >= 0:
        raise ValueError("no iloc, or more than one")
    version, sizes, bases = data[place + 4], data[place + 8], data[place + 9]
    offset_size, length_size, base_size = sizes >> 4, sizes & 15, bases >> 4
    index_size = bases & 15 if version else 0
    at = place + 10
    count_size = 2 if version < 2 else 4
    count, at = _integer(data, at, count_size), at + count_size
    if count > _MOST_ITEMS:
        raise ValueError("too many items")
    for _ in range(count):
        at += 2 if version < 2 else 4
        if version and _integer(data, at, 2) & 15:
            raise ValueError("an item that lies in no file")
        at += 4 if version else 2  # construction method, data reference
        base, at = _integer(data, at, base_size), at + base_size
        extents, at = _integer(data, at, 2), at + 2
        for number in range(min(extents, _MOST_ITEMS)):
            at += index_size
            if number == 0:
                yield base + _integer(data, at, offset_size)
            at += offset_size + length_size


def _integer(data: bytes, at: int, size: int) -> int:
    if at + size > len(data) or size not in (0, 2, 4, 8):
        raise ValueError("cut")
    return int.from_bytes(data[at : at + size], "big")


def _sequence_pixels(data: bytes, at: int) -> int | None:
    """Pixels by the first sequence header of an item; None where it has none: EXIF, say."""
    for _ in range(4):
        header = data[at]
        kind, has_extension, has_size = header >> 3 & 15, header >> 2 & 1, header >> 1 & 1
        if header & 0x81 or not has_size:
            return None
        at += 1 + has_extension
        size, at = _leb128(data, at)
        if kind == _SEQUENCE_HEADER:
            return _Bits(data[at : at + min(size, 64)]).sequence_pixels()
        if kind != _TEMPORAL_DELIMITER:
            return None
        at += size
    return None


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        octet = data[at + place]
        value |= (octet & 0x7F) << 7 * place
        if not octet & 0x80:
            return value, at + place + 1
    raise ValueError("no number")


class _Bits:
    """Bits of a header, from the most significant on."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        """The next bits as a number."""
        self._left -= count
        if self._left < 0:
            raise ValueError("cut")
        return self._value >> self._left & ((1 << count) - 1)

    def sequence_pixels(self) -> int:
        """Greatest width times greatest height of a sequence header."""
        self.read(3 + 1)  # profile, still picture
        if self.read(1):  # reduced header
            self.read(5)
        else:
            self._skip_operating_points()
        width_bits, height_bits = self.read(4) + 1, self.read(4) + 1
        return (self.read(width_bits) + 1) * (self.read(height_bits) + 1)

    def _skip_operating_points(self) -> None:
        delay_bits, has_model = 0, 0
        if self.read(1):  # timing
            self.read(32 + 32)
            if self.read(1):
                raise ValueError("pictures at equal intervals: no still one")
            has_model = self.read(1)
            if has_model:
                delay_bits = self.read(5) + 1
                self.read(32 + 5 + 5)
        has_delay = self.read(1)
        for _ in range(self.read(5) + 1):
            self.read(12)
            if self.read(5) > 7:
                self.read(1)
            if has_model and self.read(1):
                self.read(2 * delay_bits + 1)
            if has_delay and self.read(1):
                self.read(4)
