"""How every SQLite file of a workspace is opened: logged, versioned, errors in our words."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from retrain_cli import interrupts
from retrain_cli.errors import CacheError, DamagedFileError, setting
from retrain_cli.locking import cannot_lock, lock_problem

SCHEMA_VERSION = 1
"""Of a file whose tables never changed; each change of a kind of file adds one.

A file with a higher one was made by a newer version.
"""

BUSY_TIMEOUT_S = 30.0
STEPS_BETWEEN_LOOKS = 100_000
"""Of SQLite's machine between two looks whether somebody asked the program to end: milliseconds."""
_ASK_AGAIN_S = 0.01

T = TypeVar("T")

Upgrade = tuple[str, ...]
"""Statements from one version to the next; each must be fast, whatever the file's size."""


def connect(
    path: Path,
    schema: str,
    *,
    read_only: bool = False,
    newest: int = SCHEMA_VERSION,
    upgrades: Sequence[Upgrade] = (),
    page_size: int | None = None,
) -> sqlite3.Connection:
    """Open the database at `path`, creating it with `schema` where it does not exist.

    Args:
        path: the file.
        schema: CREATE TABLE statements, run once.
        read_only: open an existing file without ever writing to it; one of an older version is
            upgraded in memory.
        newest: highest format that the caller understands, where it needs no upgrade.
        upgrades: what turns a file of each older version into one of the next, the oldest first.
        page_size: bytes of a page of a new file; None for SQLite's own choice.

    Raises:
        CacheError: no database, damaged, not writable, or made by a newer version.
    """
    # SQLite takes a lock that the file system refuses for one that another command holds, and
    # would wait for it in silence.
    if str(path) != ":memory:" and (problem := lock_problem(path.parent)):
        raise CacheError(cannot_lock(path.parent, problem))
    with translated_errors(path):
        connection = _open_to_read(path) if read_only else _open_to_write(path)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            current = SCHEMA_VERSION + len(upgrades)
            _check_version(path, version, max(newest, current))
            if not read_only:
                if page_size is not None and version == 0:
                    connection.execute(f"PRAGMA page_size = {page_size}")
                _prepare(connection, schema, version, upgrades)
            elif 0 < version < current:
                connection = _upgraded_copy(connection, upgrades)
        except BaseException:
            connection.close()
            raise
    return connection


def open_or_read(path: Path, open_: Callable[[bool], T]) -> T:
    """Open a file to write, or where that cannot be, as on a full or read-only disk, to read.

    Args:
        path: the file.
        open_: opens it, read-only or not.

    Raises:
        CacheError: it cannot even be read.
    """
    if not os.access(path, os.W_OK):
        return open_(was_made(path))
    try:
        return open_(False)
    except DamagedFileError:
        raise
    except CacheError as why:
        try:
            return open_(True)
        except CacheError:
            raise why from None


def was_made(path: Path) -> bool:
    """Whether there is a database: SQLite leaves an empty file where the disk was full at once."""
    return path.exists() and path.stat().st_size > 0


def _open_to_write(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)


def _open_to_read(path: Path) -> sqlite3.Connection:
    """On a read-only medium SQLite cannot make the side files of its log, and need not.

    A log that a killed command left there is read like the file itself; taken for unchangeable, the
    file would be read without what only the log holds.
    """
    may_write = os.access(path.parent, os.W_OK)
    log = path.with_name(path.name + "-wal")
    has_log = log.is_file() and log.stat().st_size > 0
    if may_write or has_log:
        connection = _connect_to_read(path, "")
        if has_log or _can_be_read(connection):
            return connection
        connection.close()  # the disk has no room for the side files
    return _connect_to_read(path, "&immutable=1")


def _connect_to_read(path: Path, more: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro{more}"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)


def _can_be_read(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        return False
    return True


def _check_version(path: Path, version: int, newest: int) -> None:
    if version > newest:
        raise CacheError(
            f"{path} was made by a newer version of retrain (format {version}; this one "
            f"reads up to {newest}): update this one (git pull, pip install .), or "
            f"choose another workspace with {setting('workspace', 'FOLDER')}"
        )


def _upgraded_copy(
    connection: sqlite3.Connection, upgrades: Sequence[Upgrade]
) -> sqlite3.Connection:
    """In memory, of a file of an older version that must stay as it is."""
    copy = sqlite3.connect(":memory:", check_same_thread=False)
    connection.backup(copy)
    connection.close()
    _upgrade(copy, upgrades)
    return copy


def _prepare(
    connection: sqlite3.Connection, schema: str, version: int, upgrades: Sequence[Upgrade]
) -> None:
    """Create the tables of a new file, or bring those of an older version up to date."""
    current = SCHEMA_VERSION + len(upgrades)
    if version == 0:
        _create(connection, schema, current)
    elif version < current:
        _upgrade(connection, upgrades)
    # No transaction waits for the disk; the log is flushed before it is carried over.
    # A killed process loses nothing. A power cut may cost the last transactions of
    # each file by itself, so that the index promises what the cache has lost: the
    # next `retrain bottlenecks` looks at both, and computes it again.
    connection.execute("PRAGMA synchronous = NORMAL")


def _create(connection: sqlite3.Connection, schema: str, version: int) -> None:
    _keep_log(connection)
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        # Another command may have made the tables since this one found the file empty.
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            for statement in statements_of(schema):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {version}")


def _keep_log(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log, which readers and a writer can use at the same time.

    SQLite waits for no other command here: two that would each wait for the other to let go of the
    file would wait for ever. So this asks again, until the other one is done.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(_ASK_AGAIN_S)


@contextmanager
def ending_at_ctrl_c(connection: sqlite3.Connection) -> Iterator[None]:
    """Let Ctrl-C end each statement at once, which then has done nothing.

    Raises:
        KeyboardInterrupt: it did.
    """
    connection.set_progress_handler(interrupts.is_asked, STEPS_BETWEEN_LOOKS)
    try:
        with interrupts.held():
            try:
                yield
            except CacheError:
                interrupts.check()
                raise
    finally:
        connection.set_progress_handler(None, 0)


def statements_of(schema: str) -> Iterator[str]:
    """The statements of a schema one by one; comments and triggers have semicolons within."""
    statement = ""
    for part in schema.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _upgrade(connection: sqlite3.Connection, upgrades: Sequence[Upgrade]) -> None:
    """Bring a file of an older version up to date, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")  # two commands may find it old at the same time
    with connection:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        for upgrade in upgrades[version - SCHEMA_VERSION :]:
            for statement in upgrade:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + len(upgrades)}")


def plain_statement(sql: str) -> str:
    """A statement that makes a table without its comments and spaces, to compare it with others."""
    text = re.sub(r"--[^\n]*", "", sql).replace("IF NOT EXISTS", "")
    return re.sub(r"\s*([(),])\s*", r"\1", " ".join(text.split()).rstrip(" ;"))


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises in the block into a `CacheError` that names `path` and the remedy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        message = _lock_message(path, error) or f"{path}: {_explain(error)}"
        if _is_damage(error):
            raise DamagedFileError(message, str(error)) from error
        raise CacheError(message) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault.

    SQLITE_CORRUPT and SQLITE_NOTADB have no class of their own in Python; a table can be missing
    only where somebody else was at work.
    """
    return type(error) is sqlite3.DatabaseError or "no such" in str(error)


_LOCK_ERRORS = (
    "SQLITE_IOERR_LOCK",
    "SQLITE_IOERR_RDLOCK",
    "SQLITE_IOERR_UNLOCK",
    "SQLITE_IOERR_CHECKRESERVEDLOCK",
    # Of the memory that readers of the log share, which network disks lack; SQLITE_IOERR_SHMSIZE is
    # that of a full disk.
    "SQLITE_IOERR_SHMLOCK",
    "SQLITE_IOERR_SHMMAP",
    "SQLITE_IOERR_SHMOPEN",
    "SQLITE_PROTOCOL",
)


def _lock_message(path: Path, error: sqlite3.DatabaseError) -> str:
    """The message where the file system cannot lock, or cannot any more; else empty."""
    name = getattr(error, "sqlite_errorname", "")  # Python 3.11 on
    text = str(error)
    if name.startswith(_LOCK_ERRORS):
        return cannot_lock(path.parent, lock_problem(path.parent) or text)
    if "locked" in text or "disk I/O" in text:
        problem = lock_problem(path.parent)
        return cannot_lock(path.parent, problem) if problem else ""
    return ""


def _explain(error: sqlite3.DatabaseError) -> str:
    name = getattr(error, "sqlite_errorname", "")  # Python 3.11 on
    text = str(error)
    if name.startswith("SQLITE_FULL") or "full" in text:
        return "the disk is full; all finished batches are kept: free some space and run again"
    if name.startswith("SQLITE_IOERR") or "disk I/O" in text:
        return (
            "the disk refused a read or write (full, over quota or faulty); all finished batches "
            "are kept: free some space and run again"
        )
    if "readonly" in text or "unable to open" in text:
        return (
            "it cannot be opened for writing: check its permissions or use "
            f"{setting('workspace', 'FOLDER')}"
        )
    if "locked" in text:
        return "another command is writing to it: wait for it and run again"
    return (
        f"it is damaged or no file of retrain ({text}): `retrain cache verify --repair` saves what "
        "is sound in it"
    )


class PlaceOfFile:
    """Whether a file that is open is still the one at its path.

    SQLite goes on in a file that was deleted, and what is written to it is gone with the process.

    Args:
        path: the file, just opened.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._identity = path, _identity_of(path)

    def check(self) -> None:
        """Raise where another file, or none, is there now.

        Raises:
            CacheError: what was written since may be gone.
        """
        if self._identity is not None and _identity_of(self._path) != self._identity:
            raise CacheError(
                f"{self._path} must stay in its place while a command fills it, and it was removed "
                "or replaced: what was kept in it is gone; run the command again"
            )


_Self = TypeVar("_Self", bound="DatabaseFile")


class DatabaseFile:
    """An open SQLite file, to be closed by `close` or at the end of a `with` block.

    Args:
        path: the file.
        connection: to it, just opened.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._place = PlaceOfFile(path)

    def close(self) -> None:
        """Close the file; further calls fail."""
        self._connection.close()

    def check_in_place(self) -> None:
        """Make sure that what was put is still there to be found.

        Raises:
            CacheError: the file was removed or replaced meanwhile.
        """
        self._place.check()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _identity_of(path: Path) -> tuple[int, int] | None:
    """Device and inode; None where there is no file, or none that can be told apart."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_ino else None
