"""A cache file that somebody else may have made: of its rows only the sound ones are given out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrain_cli.backbones.digests import check_identity
from retrain_cli.cache.array_rows import (
    ARRAY_COLUMNS,
    CREATE_ARRAYS,
    LAST_VIEW,
    ArrayRow,
)
from retrain_cli.cache.foreign_file import FileKind, ForeignFile, open_foreign_file
from retrain_cli.cache.store import CREATE_TABLES, FLOAT16_VERSION, Damage
from retrain_cli.cache.vector_rows import CacheDtype, VectorRow, bytes_per_vector, row_fault
from retrain_cli.database import plain_statement, statements_of
from retrain_cli.errors import CacheError
from retrain_cli.images.examine import DIGEST_BYTES

_MOST_WIDTH = 1_000_000

_CACHE = FileKind(
    name="a cache",
    statements=frozenset(map(plain_statement, (*statements_of(CREATE_TABLES), CREATE_ARRAYS))),
    tables=("meta", "bottlenecks", "arrays"),
    needed=frozenset({"meta", "bottlenecks"}),
    newest=FLOAT16_VERSION,
)


class ForeignCache:
    """The sound rows of a cache file; made by `open_foreign`.

    Attributes:
        path: the file.
        identity: what makes its vectors comparable.
        width: length of its vectors; None where there are none.
        dtype: of its vectors.
        layer_widths: how much of a vector each layer gives, of several side by side; else None.
        damaged: rows that were met and not given out.
    """

    def __init__(self, file: ForeignFile) -> None:
        self.path = file.path
        self._file = file
        self.identity = self._identity()
        self.width = self._width()
        self.dtype: CacheDtype = "float16" if self._meta("dtype") == "float16" else "float32"
        self.layer_widths = self._layer_widths()
        self.damaged: list[Damage] = []

    def vectors(self) -> Iterator[VectorRow]:
        """Each sound row of the vectors, as stored.

        Raises:
            CacheError: the file is damaged, or claims more rows than it has room for.
        """
        width = self.width or 0
        least = bytes_per_vector(width, self.dtype) + DIGEST_BYTES
        sql = "SELECT digest, vector, checksum FROM bottlenecks"
        for row in self._file.rows("bottlenecks", sql, least):
            digest, blob, checksum = row
            vector_row = (digest, blob, checksum)
            reason = _kinds(row, (bytes, bytes, int)) or row_fault(vector_row, width, self.dtype)
            if reason:
                self.damaged.append(Damage(_hex(digest), reason))
            else:
                yield vector_row

    def arrays(self) -> Iterator[ArrayRow]:
        """Each sound row of the arrays; raises as `vectors`."""
        sql = f"SELECT {ARRAY_COLUMNS} FROM arrays"
        for row in self._file.rows("arrays", sql, DIGEST_BYTES):
            reason = _kinds(row, (bytes, int, str, str, bytes, bytes, int))
            array = ArrayRow(*row)
            if reason := reason or _array_fault(array):
                view = array.view if isinstance(array.view, int) else None
                self.damaged.append(Damage(_hex(array.digest), reason, view))
            else:
                yield array

    def _meta(self, key: str) -> object:
        rows = self._file.query("SELECT value FROM meta WHERE key = ? LIMIT 1", (key,))
        return rows[0][0] if rows else None

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

    def _layer_widths(self) -> str | None:
        text = self._meta("layer_widths")
        if text is None or self.width is None:
            return None
        widths = str(text).split(",")
        if not all(width.isascii() and width.isdecimal() and len(width) < 9 for width in widths):
            return None
        return str(text) if sum(map(int, widths)) == self.width else None


@contextmanager
def open_foreign(path: Path) -> Iterator[ForeignCache]:
    """Open a cache file of any origin for reading; Ctrl-C ends each query at once.

    Raises:
        CacheError: no cache, damaged, made by a newer version, or with something else in it.
    """
    with open_foreign_file(path, _CACHE) as file:
        yield ForeignCache(file)


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
