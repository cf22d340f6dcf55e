"""Something happens before the n-th operation that changes files: SIGKILL, an error, no memory."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

FAULTS = ("kill", "ENOSPC", "EIO", "EACCES", "memory", "no-memory")
"""SIGKILL, errors of the system, a MemoryError; with `no-memory` there is none from then on."""

_CHANGES = frozenset(
    ("os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate")
)
_OF_ONE_PATH = frozenset(("os.remove", "os.mkdir", "os.rmdir", "os.truncate"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_STATEMENTS = ("INSERT", "REPLACE", "UPDATE", "DELETE", "BEGIN", "COMMIT", "CREATE", "VACUUM")


class Shim:
    """Counts operations below some folders, and lets one of them fail.

    Args:
        fault: one of `FAULTS`.
        number: before which operation, from 1; 0 for none.
        roots: folders whose files count.
    """

    def __init__(self, fault: str, number: int, roots: tuple[Path, ...]) -> None:
        self._fault, self._number = fault, number
        self._roots = tuple(map(str, roots))
        self._lock = threading.Lock()
        self.count = 0

    def install(self) -> None:
        """Watch this process from now on; there is no way back."""
        sys.addaudithook(self._heard)
        sync: Any = os.fsync
        connect: Any = sqlite3.connect

        def fsync(fd: Any) -> None:
            self._before("fsync")
            sync(fd)

        def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **{"factory": kind, **options})
            return connection

        kind = _watched(self._before_sql)
        os.fsync = fsync
        sqlite3.connect = watched  # type: ignore[assignment]

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and self._is_ours(path):
                self._before(event)
        elif event in _CHANGES and any(map(self._is_ours, _paths_of(event, arguments))):
            self._before(event)

    def _is_ours(self, path: object) -> bool:
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        return isinstance(path, str | os.PathLike) and str(path).startswith(self._roots)

    def _before_sql(self, statement: str) -> None:
        if statement.lstrip().upper().startswith(_STATEMENTS):
            self._before("sqlite")

    def _before(self, what: str) -> None:
        with self._lock:
            self.count += 1
            if self.count != self._number:
                return
        if self._fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault == "memory":
            raise MemoryError
        if self._fault == "no-memory":
            _stop_growing()
            return
        if what == "sqlite":
            raise sqlite3.OperationalError(_SQL_WORDS[self._fault])
        number = getattr(errno, self._fault)
        raise OSError(number, os.strerror(number))


def _paths_of(event: str, arguments: tuple[Any, ...]) -> list[object]:
    """What an operation changes; a name in an open folder, as `rmtree` has it, with its path."""
    count = 1 if event in _OF_ONE_PATH else 2
    paths, folders = arguments[:count], arguments[-count:]
    return [_full(path, folder) for path, folder in zip(paths, folders, strict=True)]


def _full(path: object, folder: object) -> object:
    """The path of a name in an open folder; a negative descriptor is none."""
    if not isinstance(path, str) or path.startswith("/"):
        return path
    if not isinstance(folder, int) or folder < 0:
        return path
    return str(Path(f"/proc/self/fd/{folder}").readlink() / path)


def _stop_growing() -> None:
    """What this process has got is all that it gets: what it frees, it may take again."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    held = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held, held))


_SQL_WORDS = {
    "ENOSPC": "database or disk is full",
    "EIO": "disk I/O error",
    "EACCES": "attempt to write a readonly database",
}


def _watched(before: Callable[[str], None]) -> type[sqlite3.Connection]:
    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            before(sql)
            return super().execute(sql, *values)

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            before(sql)
            return super().executemany(sql, *values)

        def executescript(self, script: str) -> sqlite3.Cursor:
            before(script)
            return super().executescript(script)

        def __exit__(self, *error: Any) -> Any:
            if error[0] is None:
                before("COMMIT")
            return super().__exit__(*error)

    return Watched
