"""A SQLite file that somebody else may have made, read with distrust.

Such a file can hold more than tables: a view of the name of a table can be endless, and columns can
be computed. Only a file with the very tables of its kind is read, nothing but these tables, and
never more rows than it has room for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli import interrupts
from retrain_cli.database import STEPS_BETWEEN_LOOKS, connect, plain_statement, translated_errors
from retrain_cli.errors import CacheError

MOST_ROW_BYTES = 256 << 20
"""Of one value in a row; the largest array of a backbone has a quarter of it."""
_LIMIT_LENGTH = 0  # SQLITE_LIMIT_LENGTH, which Python 3.10 does not know


@dataclass(frozen=True, slots=True)
class FileKind:
    """What files of a kind are made of.

    Attributes:
        name: what to call one, such as "a cache".
        statements: what made its tables, each as `plain_statement` has it.
        tables: their names.
        needed: those that are never missing.
        newest: highest format of such a file.
    """

    name: str
    statements: frozenset[str]
    tables: tuple[str, ...]
    needed: frozenset[str]
    newest: int


class ForeignFile:
    """The tables of a file; made by `open_foreign_file`.

    Attributes:
        path: the file.
        tables: the names of those that it has.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, kind: FileKind) -> None:
        self.path = path
        self._connection = connection
        self.tables = self._checked_tables(kind)

        def only_its_tables(action: int, first: str | None, *rest: str | None) -> int:
            """SQLite asks this of whatever a statement is about to touch."""
            _, _, through = rest
            if action == sqlite3.SQLITE_SELECT or through is not None:
                return sqlite3.SQLITE_OK if through is None else sqlite3.SQLITE_DENY
            may_read = action == sqlite3.SQLITE_READ and first in kind.tables
            return sqlite3.SQLITE_OK if may_read else sqlite3.SQLITE_DENY

        connection.set_authorizer(only_its_tables)
        connection.set_progress_handler(interrupts.is_asked, STEPS_BETWEEN_LOOKS)

    def query(self, sql: str, values: Collection[Any] = ()) -> list[tuple[Any, ...]]:
        """A few rows.

        Raises:
            CacheError: the file is damaged.
        """
        with _translated(self.path):
            return self._connection.execute(sql, tuple(values)).fetchall()

    def rows(self, table: str, sql: str, least_bytes: int) -> Iterator[tuple[Any, ...]]:
        """The rows of a table; pages that are used twice do not make it endless.

        Args:
            table: the table; one that is not there has no rows.
            sql: what asks for them.
            least_bytes: that a row takes in the file.

        Raises:
            CacheError: the file is damaged, or claims more rows than it has room for.
        """
        if table not in self.tables:
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

    def _checked_tables(self, kind: FileKind) -> set[str]:
        """The names of the tables.

        Raises:
            CacheError: there is something that no such file holds, or a table is missing.
        """
        with _translated(self.path):
            sql = "SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100"
            entries = self._connection.execute(sql).fetchall()
        tables = set()
        for type_, name, table, statement in entries:
            is_index = type_ == "index" and statement is None and table in kind.tables
            if type_ == "table" and plain_statement(str(statement)) in kind.statements:
                tables.add(str(name))
            elif not is_index and not str(name).startswith("sqlite_stat"):
                raise CacheError(
                    f"{kind.name} of retrain holds the tables {', '.join(kind.tables)} alone, and "
                    f"{self.path} holds the {type_} {name!r}: merge the file as retrain wrote it"
                )
        if missing := kind.needed - tables:
            raise CacheError(
                f"a merge takes {kind.name} file of retrain, and {self.path} is none: it has no "
                f"table {min(missing)}"
            )
        return tables


@contextmanager
def open_foreign_file(path: Path, kind: FileKind) -> Iterator[ForeignFile]:
    """Open a file of any origin for reading; Ctrl-C ends each query at once.

    Raises:
        CacheError: no such file, damaged, made by a newer version, or with something else in it.
    """
    if odd := [one for one in _with_log(path) if not one.is_file() or one.is_symlink()]:
        raise CacheError(
            f"{kind.name} is an ordinary file, and {odd[0]} is none: merge a copy of the file "
            "itself"
        )
    connection = connect(path, "", read_only=True, newest=kind.newest)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        if hasattr(connection, "setlimit"):  # Python 3.11 on
            connection.setlimit(_LIMIT_LENGTH, MOST_ROW_BYTES)
        with interrupts.held():
            yield ForeignFile(path, connection, kind)
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


def _with_log(path: Path) -> list[Path]:
    """The file and what stands in its log."""
    log = path.with_name(path.name + "-wal")
    return [path, *([log] if log.is_symlink() or log.exists() else [])]
