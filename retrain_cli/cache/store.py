"""The bottleneck cache: one SQLite file per backbone fingerprint, one row per distinct image.

Rows are keyed by the digest of the image file's bytes, so that renaming, moving or duplicating a
photo computes nothing. Every row carries a checksum, so that damage is found and not trained on.

The plain vectors that heads train on have a table of their own, as float32 or, in half the space,
as float16; they are read as float32. Whatever else is kept of a photo, of any shape and in several
views, is in `BottleneckStore.arrays`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli import waiting
from retrain_cli.cache.array_rows import ArrayKey, ArrayRows
from retrain_cli.cache.mapped import aligned_matrix
from retrain_cli.cache.row_counts import VERIFIED, keeping_count, recount, row_count
from retrain_cli.cache.vector_rows import (
    CacheDtype,
    VectorRow,
    checksum_of,
    decoded,
    encoded,
    page_size,
)
from retrain_cli.database import (
    DatabaseFile,
    connect,
    ending_at_ctrl_c,
    open_or_read,
    translated_errors,
)
from retrain_cli.errors import CacheError, DamagedFileError, setting
from retrain_cli.files import parse_json

T = TypeVar("T")

CREATE_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE bottlenecks (
    digest BLOB NOT NULL PRIMARY KEY,  -- BLAKE2b-128 of the image file's bytes
    vector BLOB NOT NULL,              -- little-endian numbers of the file's dtype
    checksum INTEGER NOT NULL          -- CRC-32 of digest and vector
)
"""
_CHUNK = 500  # bound variables of one statement; SQLite's oldest limit is 999
_SCAN_SHARE = 0.5
"""Of the rows; reading all in the order of the file is faster than looking up more than that."""

_LOG_BYTES = 64 << 20
"""Of the log of changes before they are carried over, and of pages that are held in memory."""

FLOAT16_VERSION = 3
"""The format of a file of float16; programs that know less would take its rows for damaged."""


@dataclass(frozen=True)
class Damage:
    """One row that must not be used.

    Attributes:
        digest: of the photo, in hex; empty where the file itself is damaged.
        reason: what is wrong.
        view: of an array; None for a vector.
    """

    digest: str
    reason: str
    view: int | None = None


class BottleneckStore(DatabaseFile):
    """Reads and writes one cache file; safe to share between the threads of one process.

    Attributes:
        path: the file.
        dtype: of the vectors as stored.
        arrays: what it keeps besides vectors.
        read_only: whether it is never written to.
    """

    def __init__(
        self,
        path: Path,
        identity: dict[str, Any] | None = None,
        *,
        dtype: CacheDtype | None = None,
        width: int | None = None,
        read_only: bool = False,
    ) -> None:
        """Open the cache at `path`; a new one needs the backbone's `identity`.

        Args:
            path: the file.
            identity: what makes its vectors comparable; None for that of the file.
            dtype: of the rows; None for that of the file, float32 for a new one.
            width: of the vectors of a new file, where it is known, for pages that they fill.
            read_only: open it without ever writing to it.

        Raises:
            CacheError: missing, damaged, of another backbone or dtype, or made by a newer version.
        """
        if identity is None and not path.is_file():
            raise CacheError(
                f"there is no cache at {path}: `retrain cache info` lists what there is"
            )
        connection = connect(
            path,
            CREATE_TABLES,
            read_only=read_only,
            newest=FLOAT16_VERSION,
            page_size=page_size(width, dtype or "float32"),
        )
        super().__init__(path, connection)
        self.read_only = read_only
        self._lock = threading.Lock()
        self.arrays = ArrayRows(self._connection, self._lock, path)
        try:
            if not read_only:
                self._write_in_large_pieces()
            if identity is not None:
                self._claim(identity, dtype or "float32")
            self.dtype: CacheDtype = self._stored_dtype()
            if dtype not in (None, self.dtype):
                raise CacheError(
                    f"{path} keeps {self.dtype}, not {dtype}: leave {setting('cache_dtype')} out"
                )
        except BaseException:
            self.close()
            raise

    def _write_in_large_pieces(self) -> None:
        """Carry the log over less often: each row changes another page of the index of digests.

        Twice as many rows a second come into a file of half a million by it (benchmarks,
        `cache-size`).
        """
        with translated_errors(self.path):
            page_bytes = self._connection.execute("PRAGMA page_size").fetchone()[0]
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_BYTES // page_bytes}")
            self._connection.execute(f"PRAGMA cache_size = -{_LOG_BYTES // 1024}")  # in KiB

    def _claim(self, identity: dict[str, Any], dtype: CacheDtype) -> None:
        stored = self.meta("identity")
        wanted = json.dumps(identity, sort_keys=True)
        if stored is None:
            if dtype != "float32":
                self.set_meta("dtype", dtype)
                self._connection.execute(f"PRAGMA user_version = {FLOAT16_VERSION}")
            self.set_meta("identity", wanted)
        elif stored != wanted:
            raise CacheError(
                f"{self.path} holds the bottlenecks of another backbone than its name says: "
                "move it away and run again"
            )

    # -- meta data -------------------------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """A remembered value, such as `identity` (JSON), `width` or `images_per_second`."""
        rows = self._query("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Remember a value."""
        with self._lock, translated_errors(self.path), self._connection as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def _stored_dtype(self) -> CacheDtype:
        return "float16" if self.meta("dtype") == "float16" else "float32"

    @property
    def identity(self) -> dict[str, Any]:
        """What makes the vectors of this file comparable: backbone, layer, weights and so on."""
        return self._parsed("identity", lambda text: dict(parse_json(text))) or {}

    @property
    def width(self) -> int | None:
        """Length of the vectors; None while the cache is empty."""
        return self._parsed("width", int)

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """How much of a vector each layer gives, of several side by side; else empty."""
        return self._parsed("layer_widths", lambda text: tuple(map(int, text.split(",")))) or ()

    @property
    def images_per_second(self) -> float | None:
        """How fast the backbone was when this was last measured; None where it was not."""
        return self._parsed("images_per_second", float)

    def _parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        text = self.meta(key)
        try:
            return parse(text) if text else None
        except (ValueError, TypeError) as error:
            raise DamagedFileError(
                f"a cache must say what its vectors are, and the {key} in {self.path} is damaged: "
                "`retrain cache verify --repair` saves what can be read",
                f"its {key} is damaged",
            ) from error

    def __len__(self) -> int:
        with self._lock, translated_errors(self.path):
            return row_count(self._connection, "bottlenecks")

    # -- rows ------------------------------------------------------------------------------------

    def put(self, digests: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Add a batch in one transaction: all of it is kept, or nothing.

        Args:
            digests: `n` digests of 16 bytes.
            vectors: `(n, width) float32`.

        Raises:
            CacheError: the width differs from what is cached, a value is not finite or beyond the
                range of float16, or the disk is full.
        """
        self.put_rows(encoded(digests, vectors, self.dtype), vectors.shape[1], self.dtype)

    def put_rows(self, rows: Iterable[VectorRow], width: int, dtype: CacheDtype) -> None:
        """Take over sound rows of another file, in one transaction.

        Those of float32 are rounded where this file keeps float16.

        Args:
            rows: a digest that is here already is passed over.
            width: length of their vectors.
            dtype: of their vectors.

        Raises:
            CacheError: the width differs from what is cached, the rows are of float16 and the file
                is not, a value is beyond the range of float16, or the disk is full.
        """
        if dtype != self.dtype:
            rows = self._rounded(list(rows), dtype)
        if self.width is None:
            self.set_meta("width", str(width))
        elif self.width != width:
            raise CacheError(
                f"{self.path} holds vectors of width {self.width}, not {width}: move it away and "
                "run again"
            )
        with self._writing() as connection, keeping_count(connection, "bottlenecks"):
            connection.executemany("INSERT OR IGNORE INTO bottlenecks VALUES (?, ?, ?)", rows)

    def _rounded(self, rows: list[VectorRow], dtype: CacheDtype) -> list[VectorRow]:
        if self.dtype == "float32":
            raise CacheError(
                f"{self.path} keeps float32, and rows of float16 are rounded ones: run `retrain "
                f"bottlenecks` with {setting('cache_dtype', 'float16')} first, to round these, too"
            )
        vectors = [decoded(blob, dtype) for _, blob, _ in rows]
        return encoded([row[0] for row in rows], np.array(vectors), self.dtype) if rows else []

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, kept when the block ends."""
        with self._lock, translated_errors(self.path), self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def contains(self, digest: bytes) -> bool:
        """Whether the vector of this image is cached."""
        return bool(self._query("SELECT 1 FROM bottlenecks WHERE digest = ?", (digest,)))

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of `digests` that are cached."""
        found: set[bytes] = set()
        for chunk in _chunks(digests):
            rows = self._query(f"SELECT digest FROM bottlenecks WHERE {_digest_in(chunk)}", chunk)
            found.update(row[0] for row in rows)
        return found

    def read(
        self, digests: Sequence[bytes], out: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """The vectors of `digests`, in their order, `(n, width) float32`.

        Args:
            digests: whose vectors; a digest may come several times.
            out: array of that shape to fill, such as a memory-mapped one; None for a new one.

        Raises:
            CacheError: one of them is not cached, or its row is damaged.
        """
        matrix = aligned_matrix(len(digests), self.width or 0) if out is None else out
        first: dict[bytes, int] = {}
        copies = [
            (place, first[digest])
            for place, digest in enumerate(digests)
            if first.setdefault(digest, place) != place
        ]
        for digest, blob, checksum in self._rows(first):
            place = first.pop(digest, None)
            if place is None:
                continue  # a scan comes upon rows that nobody asked for
            if checksum_of(digest, blob, self.dtype) != checksum:
                raise CacheError(
                    f"{self.path.name} has a damaged row ({digest.hex()}): `retrain cache "
                    "verify --repair` removes it, `retrain bottlenecks` computes it again"
                )
            matrix[place] = decoded(blob, self.dtype)
        if first:
            raise CacheError(
                f"{len(first)} image(s) have no bottleneck in {self.path.name}: run "
                "`retrain bottlenecks` again; what is cached is not computed twice"
            )
        for place, original in copies:
            matrix[place] = matrix[original]
        return matrix

    def _rows(self, digests: Collection[bytes]) -> Iterator[tuple[bytes, bytes, int]]:
        """Rows as stored: of these images only, or all where that is faster."""
        if len(digests) > _SCAN_SHARE * len(self):
            with self._lock:
                yield from self.scan()
            return
        # Sorted like the index, so that neighbouring index pages are read once.
        for chunk in _chunks(sorted(digests)):
            sql = f"SELECT digest, vector, checksum FROM bottlenecks WHERE {_digest_in(chunk)}"
            yield from self._query(sql, chunk)

    def digests(self) -> Iterator[bytes]:
        """The digests of all cached images."""
        with translated_errors(self.path):
            for (digest,) in self._connection.execute("SELECT digest FROM bottlenecks"):
                yield digest

    def scan(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Every row as stored: digest, vector bytes, checksum; memory stays small."""
        with translated_errors(self.path):
            yield from self._connection.execute("SELECT digest, vector, checksum FROM bottlenecks")

    def rows_after(self, rowid: int, limit: int) -> list[tuple[int, VectorRow]]:
        """So many rows as stored whose number in the file is above `rowid`, in its order."""
        sql = """SELECT rowid, digest, vector, checksum FROM bottlenecks
                 WHERE rowid > ? ORDER BY rowid LIMIT ?"""
        return [(number, row) for number, *row in self._query(sql, (rowid, limit))]

    def digests_after(self, digest: bytes, limit: int) -> list[bytes]:
        """So many digests above this one, ascending; those above b"" are all."""
        sql = "SELECT digest FROM bottlenecks WHERE digest > ? ORDER BY digest LIMIT ?"
        return [found for (found,) in self._query(sql, (digest, limit))]

    def remove(self, digests: Iterable[bytes], arrays: Iterable[ArrayKey] = ()) -> int:
        """Delete vectors and arrays, and give their space back; returns how many there were."""
        removed = self.arrays.remove(arrays) + self.delete(digests)
        if removed:
            self.give_back()
        return removed

    def delete(self, digests: Iterable[bytes]) -> int:
        """Delete vectors, in one transaction; later ones take their space. Returns how many."""
        removed = 0
        with self._writing() as connection, keeping_count(connection, "bottlenecks", removing=True):
            for chunk in _chunks(digests):
                sql = f"DELETE FROM bottlenecks WHERE {_digest_in(chunk)}"
                removed += connection.execute(sql, chunk).rowcount
        return removed

    @property
    def free_pages(self) -> int:
        """Pages of the file that hold nothing, for rows to come."""
        return int(self._query("PRAGMA freelist_count")[0][0])

    def give_back(self) -> None:
        """Give the space of deleted rows back to the disk, which writes the file anew.

        Raises:
            KeyboardInterrupt: Ctrl-C; the file is as before.
            CacheError: the disk has no room for a copy of what is left.
        """
        self.forget_verified()  # rows may get other numbers
        with (
            waiting.for_(f"giving back the space of {self.path.name}"),
            ending_at_ctrl_c(self._connection),
        ):
            self._query("VACUUM")

    # -- integrity -------------------------------------------------------------------------------

    def file_faults(self) -> list[str]:
        """What SQLite finds wrong with the file, rows aside; empty where all is well."""
        return [text for (text,) in self._query("PRAGMA integrity_check") if text != "ok"]

    def recount(self) -> None:
        """Count the rows, should the number that is kept be wrong."""
        with self._writing() as connection:
            recount(connection, "bottlenecks")
        self.arrays.recount()

    def forget_verified(self) -> None:
        """Let the next check of the rows begin with the first one."""
        with self._lock, translated_errors(self.path), self._connection as connection:
            connection.execute("DELETE FROM meta WHERE key = ?", (VERIFIED,))

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock, translated_errors(self.path):
            return self._connection.execute(sql, values).fetchall()


def open_to_read(path: Path) -> BottleneckStore:
    """Open the cache at `path` without writing where it cannot be written, as on a read-only disk.

    Raises:
        CacheError: missing, damaged, or made by a newer version.
    """
    return open_or_read(path, lambda read_only: BottleneckStore(path, read_only=read_only))


def _digest_in(chunk: Sequence[bytes]) -> str:
    return f"digest IN ({','.join('?' * len(chunk))})"


def _chunks(digests: Iterable[bytes]) -> Iterator[list[bytes]]:
    iterator = iter(digests)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
