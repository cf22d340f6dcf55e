"""How many rows a table of a cache has, without counting them.

SQLite counts by reading an index whole, which takes longer with each row. So the number is kept in
`meta`, changed by the same transactions as the rows. A version before does not keep it; therefore
the last rowid is kept, too, and where the table has another one now, its rows are counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

VERIFIED = "verified"
"""Under this key `meta` keeps how far a check of the rows has come."""


def row_count(connection: sqlite3.Connection, table: str) -> int:
    """The number of rows of a table."""
    sql = f"SELECT (SELECT value FROM meta WHERE key = ?), (SELECT max(rowid) FROM {table})"
    kept, last = connection.execute(sql, (_key(table),)).fetchone()
    count, _, kept_last = str(kept or "").partition(" ")
    if count.isdecimal() and kept_last == str(last or 0):
        return int(count)
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@contextmanager
def keeping_count(
    connection: sqlite3.Connection, table: str, *, removing: bool = False
) -> Iterator[None]:
    """Keep the count of a table right, whose rows alone the block adds or removes.

    A check of the rows begins anew where some are removed: it may have spoken of them.

    Args:
        connection: in a transaction, which has begun as a writing one.
        table: of which rows are added.
        removing: rows are removed.
    """
    count, changes = row_count(connection, table), connection.total_changes
    yield
    changed = connection.total_changes - changes
    if removing:
        connection.execute("DELETE FROM meta WHERE key = ?", (VERIFIED,))
    _keep(connection, table, count - changed if removing else count + changed)


def recount(connection: sqlite3.Connection, table: str) -> None:
    """Count the rows of a table, and keep the number; in a transaction."""
    count = int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    _keep(connection, table, count)


def _keep(connection: sqlite3.Connection, table: str, count: int) -> None:
    sql = f"INSERT OR REPLACE INTO meta SELECT ?, ? || ' ' || ifnull(max(rowid), 0) FROM {table}"
    connection.execute(sql, (_key(table), count))


def _key(table: str) -> str:
    return f"rows of {table}"
