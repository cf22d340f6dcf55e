"""Where a JPEG ends in a stream, with all that belongs to the same photo behind it.

Phones and drones put more behind the end of the image: further images that the multi-picture index
(CIPA DC-007) or Google's container (XMP) lists, a video, Samsung's own trailer. A thumbnail is in
front, within a segment.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Iterator
from typing import Final

Walk = Generator[int, None, int]
"""Yields how many bytes of the stream have to be there, and returns where the image ends."""

_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # TEM, RST0-7: no length follows
_SOI, _EOI, _SOS, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2
_ITEM_LENGTH: Final = re.compile(rb'Item:Length="(\d{1,10})"')
_VIDEO_OFFSET: Final = re.compile(rb'MicroVideoOffset(?:="|>)(\d{1,10})')
_SAMSUNG: Final = re.compile(rb"\0\0..(.)\0\0\0(\w{4,40})", re.DOTALL)
_OTHER_STARTS: Final = (
    b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"WEBPVP8", b"ftypavif", b"ftypheic", b"ftypmif1",
    b"jP  \r\n\x87\n", b"\xff\xd8\xff\xe0\0\x10JFIF\0",
)  # fmt: skip
"""Of images, and so long that compressed data does not hold them by chance."""

_BETWEEN_SCANS: Final = frozenset(
    {0xC4, 0xCC, _SOI, _EOI, _SOS, 0xDB, 0xDC, 0xDD, 0xFE, 0xFF, *range(0xE0, 0xF0)}
)
_MOST_TRAILER = 1 << 28
_PADDING: Final = b"\0 \t\r\n"


class Held(bytearray):
    """The bytes of a stream from the beginning of an image on, as far as they have come.

    Attributes:
        unit: where the part begins that the walk is at: in what is before it is no other image.
    """

    unit: int = 0


class BrokenError(Exception):
    """The structure of an image breaks off, at the latest in the unit that the walk is at."""


def jpeg_end(held: Held) -> Walk:
    """Walk the segments, then over what else belongs to the photo.

    Raises:
        BrokenError: another image begins before this one has ended.
    """
    segments: list[tuple[int, int]] = []
    at = yield from _picture_end(held, 0, segments)
    index = next((place for unit, _ in segments if (place := _multi_picture_index(held, unit))), 0)
    more = next((size for unit, end in segments if (size := _listed_bytes(held, unit, end))), 0)
    at = yield from _multi_picture_end(held, at, index)
    return (yield from _listed_end(held, at, more))


def _picture_end(held: Held, at: int, segments: list[tuple[int, int]]) -> Walk:
    """Walk one JPEG; `segments` gets where its application segments begin and end."""
    at += 2
    while True:
        yield at + 2
        marker = held[at + 1]
        if held[at] != 0xFF or marker == 0:  # what is no marker is passed over, as decoders do
            if held[held.unit + 1] != _SOS:
                _look_for_another(held, at)
            at = yield from _next_marker(held, at + 1)
        elif marker == 0xFF:  # a fill byte
            at += 1
        elif marker == _SOI:
            held.unit = at
            raise BrokenError
        elif marker == _EOI:
            return at + 2
        elif marker in _STANDALONE:
            at += 2
        else:
            held.unit = at
            at = yield from _segment_end(held, at)
            if marker in (_APP1, _APP2):
                segments.append((held.unit, at))
            if marker == _SOS:
                at = yield from _scan_end(held, at)


def _segment_end(held: Held, at: int) -> Walk:
    yield at + 4
    length = int.from_bytes(held[at + 2 : at + 4], "big")
    end = at + 2 + max(length, 2)
    yield end
    return end


def _scan_end(held: Held, at: int) -> Walk:
    """Over entropy-coded data; it may be cut, and followed by an image of another format."""
    end = yield from _next_marker(held, at)
    if holds_another(held, at, end) or held[end + 1] not in _BETWEEN_SCANS:
        raise BrokenError
    return end


def _next_marker(held: Held, at: int) -> Walk:
    """The next marker, for instance after entropy-coded data, where 0xFF comes with 0 or RST."""
    while True:
        found = held.find(b"\xff", at)
        if found < 0:
            at = len(held)
            yield at + 1
            continue
        yield found + 2
        if held[found + 1] != 0 and held[found + 1] not in _STANDALONE:
            return found
        at = found + 2


def _look_for_another(held: Held, end: int) -> None:
    """A segment that is followed by none may have been cut, and reach into the next image."""
    if not held.unit:
        return
    but, at = thumbnail_at(held), held.find(b"\xff\xd8\xff", held.unit + 4, end + 3)
    if at >= 0 and at == but:
        at = held.find(b"\xff\xd8\xff", at + 3, end + 3)
    if at >= 0 or holds_another(held, held.unit + 4, end):
        raise BrokenError


def holds_another(held: Held, start: int, end: int) -> bool:
    """Whether an image begins in compressed pixels, by what they do not hold by chance."""
    return any(held.find(magic, start, end) >= 0 for magic in _OTHER_STARTS)


def thumbnail_at(held: Held) -> int | None:
    """Where the thumbnail of the EXIF segment that the walk is at begins.

    It is tag 0x0201 of the second directory. None in other segments, or without one.
    """
    unit = held.unit
    if held[unit + 4 : unit + 8] != b"Exif":
        return None
    base = unit + 10
    order = "<" if held[base : base + 2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", held, base + 4)
        (count,) = struct.unpack_from(f"{order}H", held, base + first)
        (second,) = struct.unpack_from(f"{order}I", held, base + first + 2 + 12 * count)
        for tag, offset in _entries(held, base + second, order):
            if tag == 0x0201:
                return base + offset
    except struct.error:
        pass
    return None


def _entries(held: Held, at: int, order: str) -> Iterator[tuple[int, int]]:
    """(tag, value) of a directory, for values of one LONG."""
    (count,) = struct.unpack_from(f"{order}H", held, at)
    for number in range(count):
        tag, _, _, value = struct.unpack_from(f"{order}HHII", held, at + 2 + 12 * number)
        yield tag, value


def _multi_picture_index(held: Held, unit: int) -> int:
    """Where the multi-picture index of a segment begins; 0 for other segments."""
    is_one = held[unit + 1] == _APP2 and held[unit + 4 : unit + 8] == b"MPF\0"
    return unit + 8 if is_one else 0


def _multi_picture_end(held: Held, at: int, index: int) -> Walk:
    """Over the further images that the index lists, as far as they are really there.

    A program that saved the photo anew may have kept the index and dropped the images.
    """
    is_first = True
    for offset, size in sorted(_pictures(held, index)) if index else ():
        start = index + offset
        if start < at:
            continue
        yield start + 2
        is_there = held[start : start + 2] == b"\xff\xd8"
        if not is_there or bytes(held[at:start]).strip(_PADDING):
            break
        held.unit = start
        end = yield from _picture_end(held, start, [])
        if is_first and not (start < end <= start + size):
            break  # by chance the next photo stands where the index says
        at, is_first = end, False
    return at


def _pictures(held: Held, index: int) -> list[tuple[int, int]]:
    """(offset, size) of the images behind the first: tag 0xB002, 16 bytes an image.

    Of more than one, some programs write wrong sizes.
    """
    order = "<" if held[index : index + 2] == b"II" else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", held, index + 4)
        (count,) = struct.unpack_from(f"{order}H", held, index + first)
        for number in range(min(count, 64)):
            entry = index + first + 2 + 12 * number
            tag, _, size, value = struct.unpack_from(f"{order}HHII", held, entry)
            if tag == 0xB002:
                places = range(index + value, index + value + min(size, 4096), 16)
                pictures = [struct.unpack_from(f"{order}4xII", held, at) for at in places]
                return [(offset, size) for size, offset in pictures if offset]
    except struct.error:
        pass
    return []


def _listed_bytes(held: Held, unit: int, end: int) -> int:
    """How many bytes behind the image XMP says that belong to it."""
    if held[unit + 1] != _APP1 or b"://ns.adobe.com/xap" not in held[unit + 4 : unit + 40]:
        return 0
    text = bytes(held[unit:end])
    items = [int(size) for size in _ITEM_LENGTH.findall(text)]
    video = _VIDEO_OFFSET.search(text)
    return sum(items) or (int(video[1]) if video else 0)


def _listed_end(held: Held, at: int, more: int) -> Walk:
    """Over what XMP lists, unless there is less, or the multi-picture index had it already."""
    if not 0 < more <= _MOST_TRAILER:
        return at
    yield at + 12
    start = bytes(held[at : at + 12])
    if start[4:8] == b"ftyp" or start[:2] == b"\xff\xd8":
        yield at + more
        is_image = start[:2] == b"\xff\xd8"
        if not is_image or b"\xff\xd9" in held[at + more - 64 : at + more]:
            return at + more
    return at


def samsung_end(held: Held) -> Walk:
    """Over a trailer of Samsung's: named fields, then `SEFH` ... `SEFT`. 0 where there is none."""
    yield 64
    found = _SAMSUNG.match(bytes(held[:64]))
    if found is None or len(found[2]) < found[1][0] or found[1][0] < 4:
        return 0
    at = 0
    while len(held) < _MOST_TRAILER:
        place = held.find(b"SEFT", at)
        if place >= 0:
            return place + 4
        at = max(0, len(held) - 3)
        yield len(held) + 1
    return 0
