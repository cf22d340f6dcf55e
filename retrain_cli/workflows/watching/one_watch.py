"""One watch at a time takes the photos of a folder, or writes the table in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from retrain_cli.errors import WorkspaceError
from retrain_cli.locking import says_no_locks

_LOCK = ".retrain-watch.lock"


@contextmanager
def alone_in(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Be the only watch in a folder while the block runs.

    Where files cannot be locked, as on some network drives, `tell` is told, and the block runs.

    Raises:
        WorkspaceError: there is another one, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / _LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise WorkspaceError(
            f"one watch at a time takes the photos of a folder, and another one is at work in "
            f"{folder}: leave them to it, or end it first"
        ) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and not says_no_locks(error):
            raise WorkspaceError(
                f"a watch needs folders that can be written, and {folder} cannot "
                f"({error.strerror or error}): check its permissions and free space"
            ) from error
        tell(f"files in {folder} cannot be locked: see to it that no other watch is at work there")
    try:
        yield
    finally:
        lock.release()
