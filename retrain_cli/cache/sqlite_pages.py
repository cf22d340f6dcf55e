"""Records read straight from the pages of a SQLite file, whatever else of it is damaged.

SQLite itself reaches a row through the header, the schema and the inner pages of two trees; one
damaged page there hides thousands of sound rows. Here each leaf page is read for itself, as
SQLite's own `.recover` does. The format: https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

Value = bytes | str | int
Record = list[Value]

_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER = 0x0D, 0x0A, 0x02
_FIRST_PAGE_HEADER = 100
_DEFAULT_PAGE_SIZE = 4096
_WAL_MAGIC = (0x377F0682, 0x377F0683)
_WAL_HEADER, _FRAME_HEADER = 32, 24
_LARGEST_PAYLOAD = 1 << 26  # more than any row of ours; see LARGEST_ARRAY
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


@dataclass(frozen=True)
class Pages:
    """The pages of a database file, each in its newest version: the write-ahead log goes first."""

    main: mmap.mmap | bytes
    log: bytes
    page_size: int
    in_log: dict[int, int]

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[Pages]:
        """Open a database and its log, if there is one; memory stays small.

        Raises:
            OSError: the file cannot be read.
        """
        log_path = path.with_name(path.name + "-wal")
        log = log_path.read_bytes() if log_path.exists() else b""
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            main: mmap.mmap | bytes = b""
            if path.stat().st_size:  # an empty file cannot be mapped
                main = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            size = _page_size(main[16:18])
            yield cls(main, log, size, _newest_frames(log, size))

    def __len__(self) -> int:
        return max(len(self.main) // self.page_size, max(self.in_log, default=0))

    def page(self, number: int) -> bytes:
        """A page by its number, 1 for the first; empty where there is none."""
        at = self.in_log.get(number)
        if at is not None:
            return self.log[at : at + self.page_size]
        start = (number - 1) * self.page_size
        return self.main[start : start + self.page_size] if number > 0 else b""

    def records(self) -> Iterator[Record]:
        """Every record of every table and index that can be read; the others are passed over."""
        for number in range(1, len(self) + 1):
            yield from self._records_of(number)

    def _records_of(self, number: int) -> Iterator[Record]:
        page = self.page(number)
        start = _FIRST_PAGE_HEADER if number == 1 else 0
        kind = page[start] if len(page) == self.page_size else None
        if kind not in (_TABLE_LEAF, _INDEX_LEAF, _INDEX_INNER):
            return
        (count,) = struct.unpack_from(">H", page, start + 3)
        first = start + (12 if kind == _INDEX_INNER else 8)
        for place in range(first, min(first + 2 * count, self.page_size - 1), 2):
            try:
                record = self._record_at(page, struct.unpack_from(">H", page, place)[0], kind)
            except (IndexError, ValueError, struct.error):
                continue  # this cell is damaged; the next may not be
            yield record

    def _record_at(self, page: bytes, at: int, kind: int) -> Record:
        if kind == _INDEX_INNER:
            at += 4  # the page below
        length, at = _varint(page, at)
        if kind == _TABLE_LEAF:
            _, at = _varint(page, at)  # the row's number
        if length > min(_LARGEST_PAYLOAD, len(self) * self.page_size):
            raise ValueError("no payload of ours is as long")
        local = self._local_bytes(length, kind)
        payload = page[at : at + local]
        if local < length:
            (follows,) = struct.unpack_from(">I", page, at + local)
            payload += self._overflow(follows, length - local)
        if len(payload) < length:
            raise ValueError("the payload is cut")
        return _parse_record(payload)

    def _local_bytes(self, length: int, kind: int) -> int:
        """How much of a payload stands in the page itself; the rest is on overflow pages."""
        usable = self.page_size
        most = usable - 35 if kind == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
        if length <= most:
            return length
        least = (usable - 12) * 32 // 255 - 23
        fits = least + (length - least) % (usable - 4)
        return fits if fits <= most else least

    def _overflow(self, number: int, wanted: int) -> bytes:
        pieces: list[bytes] = []
        while wanted > 0:
            page = self.page(number)
            (number,) = struct.unpack_from(">I", page)
            pieces.append(page[4 : 4 + wanted])
            wanted -= len(page) - 4
        return b"".join(pieces)


def _page_size(stored: bytes) -> int:
    """As the header says, where it says what can be; else what SQLite makes by default."""
    size = int.from_bytes(stored, "big")
    size = 65536 if size == 1 else size
    return size if size >= 512 and size & (size - 1) == 0 else _DEFAULT_PAGE_SIZE


def _newest_frames(log: bytes, page_size: int) -> dict[int, int]:
    """Where in the log the newest version of each page begins."""
    if int.from_bytes(log[:4], "big") not in _WAL_MAGIC:
        return {}
    salt, newest = log[16:24], {}
    step = _FRAME_HEADER + page_size
    for at in range(_WAL_HEADER, len(log) - step + 1, step):
        if log[at + 8 : at + 16] != salt:
            break  # left over from before the log was last begun anew
        newest[int.from_bytes(log[at : at + 4], "big")] = at + _FRAME_HEADER
    return newest


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer of 1 to 9 bytes, and where it ends."""
    value = 0
    for place in range(at, at + 8):
        value = value << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return value, place + 1
    return value << 8 | data[at + 8], at + 9


def _parse_record(payload: bytes) -> Record:
    end, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < end:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values: Record = []
    at = end
    for kind in kinds:
        value, at = _parse_value(payload, at, kind)
        values.append(value)
    return values


def _parse_value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in (8, 9):
        return kind - 8, at
    length = (kind - 12) // 2 if kind >= 12 else _INTEGER_BYTES.get(kind, 0)
    piece = payload[at : at + length]
    if len(piece) < length:
        raise ValueError("the value is cut")
    if kind >= 12:
        return (piece.decode() if kind % 2 else piece), at + length
    return int.from_bytes(piece, "big", signed=True), at + length
