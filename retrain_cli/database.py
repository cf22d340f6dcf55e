"""How every SQLite file of a workspace is opened: logged, versioned, errors in our words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain_cli.errors import CacheError, DamagedFileError, setting

SCHEMA_VERSION = 1
"""Of a new file; one with a higher version than is known was made by a newer program."""

BUSY_TIMEOUT_S = 30.0


def connect(
    path: Path, schema: str, *, read_only: bool = False, newest: int = SCHEMA_VERSION
) -> sqlite3.Connection:
    """Open the database at `path`, creating it with `schema` where it does not exist.

    Args:
        path: the file.
        schema: CREATE TABLE statements, run once.
        read_only: open an existing file without ever writing to it.
        newest: highest format that the caller understands.

    Raises:
        CacheError: no database, damaged, not writable, or made by a newer version.
    """
    with translated_errors(path):
        if read_only:
            # On a read-only medium SQLite cannot make the side files of its log and need not.
            immutable = "" if os.access(path.parent, os.W_OK) else "&immutable=1"
            uri = f"{path.absolute().as_uri()}?mode=ro{immutable}"
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
        else:
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > newest:
                raise CacheError(
                    f"{path} was made by a newer version of retrain (format {version}; this one "
                    f"reads up to {newest}): upgrade with pip install -U retrain-cli, or "
                    f"choose another workspace with {setting('workspace', 'FOLDER')}"
                )
            if version == 0 and not read_only:
                _create(connection, schema)
            if not read_only:
                # No transaction waits for the disk; the log is flushed before it is carried over.
                # A killed process loses nothing. A power cut may cost the last transactions of
                # each file by itself, so that the index promises what the cache has lost: the
                # next `retrain bottlenecks` looks at both, and computes it again.
                connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
    return connection


def _create(connection: sqlite3.Connection, schema: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(f"BEGIN; {schema}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises in the block into a `CacheError` that names `path` and the remedy."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        message = f"{path}: {_explain(error)}"
        if _is_damage(error):
            raise DamagedFileError(message, str(error)) from error
        raise CacheError(message) from error


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault.

    SQLITE_CORRUPT and SQLITE_NOTADB have no class of their own in Python; a table can be missing
    only where somebody else was at work.
    """
    return type(error) is sqlite3.DatabaseError or "no such" in str(error)


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
