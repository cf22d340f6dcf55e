"""Where a TIFF ends in a stream: behind the last thing that any of its directories points to."""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Final

from retrain_cli.images.streams.jpeg_end import BrokenError, Held, Walk

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4,
                 16: 8, 17: 8, 18: 8}  # fmt: skip
_FORMS: Final = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_DIRECTORIES: Final = frozenset({330, 34665, 34853, 40965})  # SubIFDs, EXIF, GPS, interoperability
_OFFSETS_AND_SIZES: Final = ((273, 279), (324, 325), (513, 514))  # strips, tiles, a JPEG thumbnail
_MOST_DIRECTORIES, _MOST_ENTRIES, _MOST_VALUES = 4096, 4096, 1 << 22

_Entries = dict[int, list[int]]


def tiff_end(held: Held) -> Walk:
    """Follow all directories, wherever they are.

    Raises:
        BrokenError: there is none where one should be.
    """
    yield 16
    order = "<" if held[:2] == b"II" else ">"
    is_big = 43 in held[2:4]
    (first,) = struct.unpack_from(f"{order}Q" if is_big else f"{order}I", held, 8 if is_big else 4)
    todo, seen, end = [int(first)], {0}, 8
    while todo and len(seen) < _MOST_DIRECTORIES:
        at = todo.pop()
        if at in seen:
            continue
        seen.add(at)
        entries, after, reach = yield from _directory(held, at, order, is_big)
        todo += [after, *(place for tag in _DIRECTORIES for place in entries.get(tag, []))]
        end = max(end, reach, *_reaches(entries))
    yield end
    return end


def _directory(
    held: Held, at: int, order: str, is_big: bool
) -> Generator[int, None, tuple[_Entries, int, int]]:
    """A directory's entries, where the next one is, and where its values end."""
    count_form, size, inline = ("Q", 20, 8) if is_big else ("H", 12, 4)
    start = at + struct.calcsize(count_form)
    yield start
    (count,) = struct.unpack_from(order + count_form, held, at)
    if not 0 < count <= _MOST_ENTRIES:
        raise BrokenError
    offset_form = "Q" if is_big else "I"
    reach = start + count * size + inline
    yield reach
    entries: _Entries = {}
    for number in range(count):
        place = start + size * number
        tag, kind, length = struct.unpack_from(f"{order}HH{offset_form}", held, place)
        octets, value_at = length * _SIZES.get(kind, 0), place + size - inline
        if octets > inline:
            (value_at,) = struct.unpack_from(order + offset_form, held, value_at)
            reach = max(reach, value_at + octets)
        if _is_needed(tag) and kind in _FORMS and length <= _MOST_VALUES:
            yield value_at + octets
            entries[tag] = list(
                struct.unpack_from(f"{order}{length}{_FORMS[kind]}", held, value_at)
            )
    (after,) = struct.unpack_from(order + offset_form, held, start + count * size)
    return entries, int(after), reach


def _is_needed(tag: int) -> bool:
    return tag in _DIRECTORIES or any(tag in pair for pair in _OFFSETS_AND_SIZES)


def _reaches(entries: _Entries) -> list[int]:
    """Where the strips, tiles and thumbnails of a directory end."""
    pairs = [(entries.get(at, []), entries.get(size, [])) for at, size in _OFFSETS_AND_SIZES]
    return [at + size for places, sizes in pairs for at, size in zip(places, sizes, strict=False)]
