"""Arrays beside the vectors of a cache file: of any shape, several views of a photo.

What lies at a layer inside the network, or in a distorted view of a photo, is kept here, each row
with its shape, its dtype and a checksum over all of it. The table is made when the first array
comes; until then the file is as every version before this one made it.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.cache.array_batch import DTYPES, SCALE_TYPE, ArrayBatch, joined
from retrain_cli.cache.row_counts import keeping_count, recount, row_count
from retrain_cli.database import translated_errors
from retrain_cli.errors import CacheError

ArrayKey = tuple[bytes, int]
"""Digest of a photo's bytes, and number of the view: 0 is the plain photo."""

ARRAYS_VERSION = 2
"""The format of a file that holds arrays; one that holds vectors alone stays with 1."""

CREATE_ARRAYS = """
CREATE TABLE IF NOT EXISTS arrays (
    digest BLOB NOT NULL,      -- BLAKE2b-128 of the image file's bytes
    view INTEGER NOT NULL,     -- 0: the plain photo; 1, 2, 3, ...: distorted ones
    dtype TEXT NOT NULL,       -- float32, float16 or uint8
    shape TEXT NOT NULL,       -- such as 7x7x320
    scales BLOB NOT NULL,      -- of uint8: float32, all steps, then all lowest values; else empty
    data BLOB NOT NULL,        -- little-endian, in the order of C
    checksum INTEGER NOT NULL, -- CRC-32 of all that stands before it
    PRIMARY KEY (digest, view)
)
"""
ARRAY_COLUMNS = "digest, view, dtype, shape, scales, data, checksum"
_JOINED = "FROM wanted CROSS JOIN arrays ON digest = column1 AND view = column2"
"""Rows of wanted keys, by the index; SQLite reads the whole table for `(digest, view) IN`."""
_CHUNK = 400  # keys of one statement, two bound variables each; SQLite's oldest limit is 999
LAST_VIEW = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ArrayRow:
    """A row as stored."""

    digest: bytes
    view: int
    dtype: str
    shape: str
    scales: bytes
    data: bytes
    checksum: int

    @property
    def key(self) -> ArrayKey:
        """Digest and view."""
        return self.digest, self.view

    def expected_checksum(self) -> int:
        """CRC-32 of everything else in the row."""
        head = f"{self.view} {self.dtype} {self.shape} {len(self.scales)} ".encode()
        checksum = zlib.crc32(head, zlib.crc32(self.digest))
        return zlib.crc32(self.data, zlib.crc32(self.scales, checksum))

    def fault(self) -> str | None:
        """What is wrong with the row; None where nothing."""
        if self.expected_checksum() != self.checksum:
            return "its checksum does not match"
        try:
            self.decoded()
        except (CacheError, ValueError, KeyError) as error:
            return f"it holds no array ({error})"
        return None

    def decoded(self) -> ArrayBatch:
        """The array, as a batch of one.

        Raises:
            ValueError, KeyError, CacheError: the row holds none.
        """
        shape = tuple(int(extent) for extent in self.shape.split("x"))
        data = np.frombuffer(self.data, DTYPES[self.dtype]).reshape(1, *shape)
        scales = np.frombuffer(self.scales, SCALE_TYPE).reshape(1, 2, -1) if self.scales else None
        return ArrayBatch(data, scales)


class ArrayRows:
    """The arrays of one cache file, `BottleneckStore.arrays`; safe to share between threads."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock, path: Path) -> None:
        self._connection = connection
        self._lock = lock
        self._path = path
        self._known = False

    def __len__(self) -> int:
        if not self._exists():
            return 0
        with self._lock, translated_errors(self._path):
            return row_count(self._connection, "arrays")

    def recount(self) -> None:
        """Count the arrays, should the number that is kept be wrong."""
        if self._exists():
            with self._writing() as connection:
                recount(connection, "arrays")

    def put(self, keys: Sequence[ArrayKey], batch: ArrayBatch) -> None:
        """Add arrays in one transaction: all are kept, or none. A key that is there stays.

        Args:
            keys: digest (16 bytes) and view (0 and more) of each array.
            batch: the arrays, as many as keys.

        Raises:
            CacheError: a view that is no such number, or the disk is full.
            ValueError: not as many keys as arrays.
        """
        bad = [view for _, view in keys if not 0 <= view <= LAST_VIEW]
        if bad:
            raise CacheError(
                f"a view is a number from 0 (the plain photo) to {LAST_VIEW}, not {bad[0]}"
            )
        if len(keys) != len(batch):
            raise ValueError(f"{len(keys)} keys of {len(batch)} arrays")
        self.put_rows([_encoded(key, batch, place) for place, key in enumerate(keys)])

    def present(self, keys: Iterable[ArrayKey]) -> set[ArrayKey]:
        """Those of `keys` that are kept."""
        found: set[ArrayKey] = set()
        for chunk in _chunks(keys):
            sql = f"{_wanted(chunk)} SELECT digest, view {_JOINED}"
            found.update(self._query(sql, _flat(chunk)))
        return found

    def views(self, digest: bytes) -> list[int]:
        """The views of a photo that are kept, in order."""
        rows = self._query("SELECT view FROM arrays WHERE digest = ? ORDER BY view", (digest,))
        return [view for (view,) in rows]

    def read(self, keys: Sequence[ArrayKey]) -> ArrayBatch:
        """The arrays of `keys`, in their order; a key may come several times.

        Memory holds them twice for a moment: read large ones some hundreds at a time.

        Args:
            keys: at least one; their arrays must have one shape and one dtype.

        Returns:
            Data and scales as they were put; `values()` gives float32.

        Raises:
            CacheError: no key, one that is not kept, a damaged row, or rows that are not alike.
        """
        found = {row.key: self._sound(row) for row in self._rows(sorted(set(keys)))}
        missing = len(set(keys)) - len(found)
        if missing:
            raise CacheError(
                f"{missing} array(s) of {len(keys)} asked for are not in {self._path.name}: "
                "compute them again; what is kept is not computed twice"
            )
        return joined([found[key] for key in keys])

    def all_keys(self) -> Iterator[ArrayKey]:
        """The keys of all arrays."""
        if self._exists():
            with translated_errors(self._path):
                yield from self._connection.execute("SELECT digest, view FROM arrays")

    def keys_after(self, key: ArrayKey, limit: int) -> list[ArrayKey]:
        """So many keys above this one, ascending; those above (b"", -1) are all."""
        sql = """SELECT digest, view FROM arrays WHERE (digest, view) > (?, ?)
                 ORDER BY digest, view LIMIT ?"""
        return self._query(sql, (*key, limit))

    def rows_after(self, rowid: int, limit: int) -> list[tuple[int, ArrayRow]]:
        """So many rows as stored whose number in the file is above `rowid`, in its order."""
        sql = f"""SELECT rowid, {ARRAY_COLUMNS} FROM arrays
                  WHERE rowid > ? ORDER BY rowid LIMIT ?"""
        return [(number, ArrayRow(*row)) for number, *row in self._query(sql, (rowid, limit))]

    def scan(self) -> Iterator[ArrayRow]:
        """Every row as stored; memory stays small."""
        if self._exists():
            with translated_errors(self._path):
                for row in self._connection.execute(f"SELECT {ARRAY_COLUMNS} FROM arrays"):
                    yield ArrayRow(*row)

    def put_rows(self, rows: Sequence[ArrayRow]) -> None:
        """Take over sound rows of another file as they are, in one transaction."""
        with self._writing() as connection:
            self._make_table(connection)
            sql = "INSERT OR IGNORE INTO arrays VALUES (?, ?, ?, ?, ?, ?, ?)"
            with keeping_count(connection, "arrays"):
                connection.executemany(sql, map(astuple, rows))

    def remove(self, keys: Iterable[ArrayKey]) -> int:
        """Delete rows; returns how many there were. Their space is used again by later ones."""
        removed = 0
        if self._exists():
            with (
                self._writing() as connection,
                keeping_count(connection, "arrays", removing=True),
            ):
                for chunk in _chunks(keys):
                    rows = f"{_wanted(chunk)} SELECT arrays.rowid {_JOINED}"
                    sql = f"DELETE FROM arrays WHERE rowid IN ({rows})"
                    removed += connection.execute(sql, _flat(chunk)).rowcount
        return removed

    def _rows(self, keys: Sequence[ArrayKey]) -> Iterator[ArrayRow]:
        for chunk in _chunks(keys):
            sql = f"{_wanted(chunk)} SELECT {ARRAY_COLUMNS} {_JOINED}"
            yield from (ArrayRow(*row) for row in self._query(sql, _flat(chunk)))

    def _sound(self, row: ArrayRow) -> ArrayBatch:
        if row.expected_checksum() != row.checksum:
            raise CacheError(
                f"{self._path.name} has a damaged row ({row.digest.hex()}, view {row.view}): "
                "`retrain cache verify --repair` removes it"
            )
        return row.decoded()

    def _exists(self) -> bool:
        """Whether the table is there; another process may make it at any time."""
        if not self._known:
            sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'arrays'"
            with self._lock, translated_errors(self._path):
                self._known = self._connection.execute(sql).fetchone() is not None
        return self._known

    def _make_table(self, connection: sqlite3.Connection) -> None:
        """Make the table, and say by the file's version that older programs would overlook it."""
        if not self._known:
            connection.execute(CREATE_ARRAYS)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute(f"PRAGMA user_version = {max(version, ARRAYS_VERSION)}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, kept when the block ends."""
        with self._lock, translated_errors(self._path), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        if not self._exists():
            return []
        with self._lock, translated_errors(self._path):
            return self._connection.execute(sql, values).fetchall()


def _encoded(key: ArrayKey, batch: ArrayBatch, place: int) -> ArrayRow:
    """One array of a batch as a row."""
    name = batch.data.dtype.name
    data = np.ascontiguousarray(batch.data[place], DTYPES[name])
    scales = b"" if batch.scales is None else batch.scales[place].astype(SCALE_TYPE).tobytes()
    shape = "x".join(map(str, data.shape))
    row = ArrayRow(*key, name, shape, scales, data.tobytes(), checksum=0)
    return replace(row, checksum=row.expected_checksum())


def _wanted(chunk: Sequence[ArrayKey]) -> str:
    return f"WITH wanted AS (VALUES {','.join(['(?, ?)'] * len(chunk))})"


def _flat(chunk: Sequence[ArrayKey]) -> list[bytes | int]:
    return [value for key in chunk for value in key]


def _chunks(keys: Iterable[ArrayKey]) -> Iterator[list[ArrayKey]]:
    iterator = iter(keys)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
