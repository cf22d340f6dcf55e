"""A cache file that somebody else may have made, read with distrust.

A SQLite file can hold more than tables: a view of the name of a table can be endless, and columns
can be computed. Only a file with the very tables of a cache is read, nothing but these tables, and
of their rows only the sound ones.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.backbones.digests import check_identity
from retrain_cli.cache.array_rows import (
    ARRAY_COLUMNS,
    ARRAYS_VERSION,
    CREATE_ARRAYS,
    LAST_VIEW,
    ArrayRow,
)
from retrain_cli.cache.store import CREATE_TABLES, VECTOR_TYPE, Damage, row_fault
from retrain_cli.database import connect, plain_statement, translated_errors
from retrain_cli.errors import CacheError
from retrain_cli.images.examine import DIGEST_BYTES

MOST_ROW_BYTES = 256 << 20
"""Of one value in a row; the largest array of a backbone has a quarter of it."""
_LIMIT_LENGTH = 0  # SQLITE_LIMIT_LENGTH, which Python 3.10 does not know
_MOST_WIDTH = 1_000_000
_STEPS_BETWEEN_LOOKS = 100_000  # of SQLite's machine: some milliseconds

_OURS = {plain_statement(sql) for sql in (*CREATE_TABLES.split(";"), CREATE_ARRAYS)}
_TABLES = ("meta", "bottlenecks", "arrays")


class ForeignCache:
    """The sound rows of a cache file; made by `open_foreign`.

    Attributes:
        path: the file.
        identity: what makes its vectors comparable.
        width: length of its vectors; None where there are none.
        damaged: rows that were met and not given out.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._tables = self._checked_tables()
        connection.set_authorizer(_only_our_tables)
        connection.set_progress_handler(interrupts.is_asked, _STEPS_BETWEEN_LOOKS)
        self.identity = self._identity()
        self.width = self._width()
        self.damaged: list[Damage] = []

    def vectors(self) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Digest and vector of each sound row, `(width,) float32`.

        Raises:
            CacheError: the file is damaged, or claims more rows than it has room for.
        """
        expected = (self.width or 0) * VECTOR_TYPE.itemsize
        sql = "SELECT digest, vector, checksum FROM bottlenecks"
        for row in self._rows("bottlenecks", sql, expected + DIGEST_BYTES):
            digest, blob, checksum = row
            if reason := _kinds(row, (bytes, bytes, int)) or row_fault(
                digest, blob, checksum, expected
            ):
                self.damaged.append(Damage(_hex(digest), reason))
            else:
                yield digest, np.frombuffer(blob, VECTOR_TYPE)

    def arrays(self) -> Iterator[ArrayRow]:
        """Each sound row of the arrays; raises as `vectors`."""
        sql = f"SELECT {ARRAY_COLUMNS} FROM arrays"
        for row in self._rows("arrays", sql, DIGEST_BYTES):
            reason = _kinds(row, (bytes, int, str, str, bytes, bytes, int))
            array = ArrayRow(*row)
            if reason := reason or _array_fault(array):
                view = array.view if isinstance(array.view, int) else None
                self.damaged.append(Damage(_hex(array.digest), reason, view))
            else:
                yield array

    def _rows(self, table: str, sql: str, least_bytes: int) -> Iterator[tuple[Any, ...]]:
        """The rows of a table; pages that are used twice do not make it endless."""
        if table not in self._tables:
            return
        room = sum(path.stat().st_size for path in _with_log(self.path)) // least_bytes
        with _translated(self.path):
            for number, row in enumerate(self._connection.execute(sql)):
                interrupts.check()
                if number >= room:
                    raise CacheError(
                        f"{self.path} is damaged: it has more rows than room for them; "
                        "`retrain cache verify --repair` in its own workspace saves what is sound"
                    )
                yield row

    def _checked_tables(self) -> set[str]:
        """The names of the tables.

        Raises:
            CacheError: there is something that no cache holds, or a table is missing.
        """
        with _translated(self.path):
            sql = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100"
            entries = self._connection.execute(sql).fetchall()
        tables = set()
        for kind, name, table, statement in entries:
            is_index = kind == "index" and statement is None and table in _TABLES
            if kind == "table" and plain_statement(str(statement)) in _OURS:
                tables.add(str(name))
            elif not is_index and not str(name).startswith("sqlite_stat"):
                raise CacheError(
                    f"a cache of retrain holds the tables {', '.join(_TABLES)} alone, and "
                    f"{self.path} holds the {kind} {name!r}: merge the file as retrain wrote it"
                )
        if missing := {"meta", "bottlenecks"} - tables:
            raise CacheError(
                f"a merge takes a cache file of retrain, and {self.path} is none: it has no table "
                f"{min(missing)}"
            )
        return tables

    def _meta(self, key: str) -> object:
        with _translated(self.path):
            sql = "SELECT value FROM meta WHERE key = ?"
            row = self._connection.execute(sql, (key,)).fetchone()
        return row and row[0]

    def _identity(self) -> dict[str, Any]:
        try:
            identity = json.loads(str(self._meta("identity")))
            check_identity(identity)
        except (ValueError, TypeError, RecursionError) as error:
            raise CacheError(
                f"a cache file names the backbone of its vectors, and {self.path} does not "
                f"({error}): merge a file that `retrain bottlenecks` wrote"
            ) from error
        return dict(identity)

    def _width(self) -> int | None:
        text = self._meta("width")
        if text is None:
            return None
        if not (isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 9):
            text = "0"
        width = int(text)
        if not 0 < width <= _MOST_WIDTH:
            raise CacheError(
                f"the vectors of a cache have a length from 1 to {_MOST_WIDTH:,}, and {self.path} "
                "says another: merge a file that `retrain bottlenecks` wrote"
            )
        return width


@contextmanager
def open_foreign(path: Path) -> Iterator[ForeignCache]:
    """Open a cache file of any origin for reading; Ctrl-C ends each query at once.

    Raises:
        CacheError: no cache, damaged, made by a newer version, or with something else in it.
    """
    if odd := [one for one in _with_log(path) if not one.is_file() or one.is_symlink()]:
        raise CacheError(
            f"a cache is an ordinary file, and {odd[0]} is none: merge a copy of the file itself"
        )
    connection = connect(path, "", read_only=True, newest=ARRAYS_VERSION)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if hasattr(connection, "setlimit"):  # Python 3.11 on
            connection.setlimit(_LIMIT_LENGTH, MOST_ROW_BYTES)
        with interrupts.held():
            yield ForeignCache(path, connection)
    finally:
        connection.close()


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """As `translated_errors`; a query that Ctrl-C has ended raises what Ctrl-C does."""
    try:
        with translated_errors(path):
            yield
    except (CacheError, OverflowError):
        interrupts.check()
        raise


def _only_our_tables(action: int, first: str | None, *rest: str | None) -> int:
    """SQLite asks this of whatever a statement is about to touch."""
    _, _, through = rest
    if action == sqlite3.SQLITE_SELECT or through is not None:
        return sqlite3.SQLITE_OK if through is None else sqlite3.SQLITE_DENY
    may_read = action == sqlite3.SQLITE_READ and first in _TABLES
    return sqlite3.SQLITE_OK if may_read else sqlite3.SQLITE_DENY


def _kinds(row: tuple[Any, ...], kinds: tuple[type, ...]) -> str | None:
    """What is wrong with the kinds of a row's values: SQLite's columns hold anything."""
    if not all(isinstance(value, kind) for value, kind in zip(row, kinds, strict=True)):
        return "a value of another kind than the column's"
    return None if len(row[0]) == DIGEST_BYTES else f"a digest of {len(row[0])} bytes"


def _array_fault(row: ArrayRow) -> str | None:
    try:
        return row.fault() if 0 <= row.view <= LAST_VIEW else f"the view {row.view}"
    except OverflowError:
        return f"the shape {row.shape[:40]}"


def _hex(digest: object) -> str:
    return digest[:DIGEST_BYTES].hex() if isinstance(digest, bytes) else repr(digest)[:40]


def _with_log(path: Path) -> list[Path]:
    """The file and what stands in its log."""
    log = path.with_name(path.name + "-wal")
    return [path, *([log] if log.is_symlink() or log.exists() else [])]
