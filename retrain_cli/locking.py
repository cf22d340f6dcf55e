"""File systems that cannot lock files: network disks without a lock service, some mounts of FUSE.

Both kinds of locks are needed: the workspace's own (`flock`), and those of SQLite (`fcntl`).
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from retrain_cli.errors import WorkspaceError

_NO_LOCKS: Final = frozenset(
    getattr(errno, name) for name in ("ENOLCK", "EOPNOTSUPP", "ENOTSUP", "ENOSYS")
)


def says_no_locks(error: OSError) -> bool:
    """Whether an error, of a lock or of anything else, can only mean that there are no locks."""
    return error.errno in _NO_LOCKS


@contextmanager
def translated_lock_errors(folder: Path) -> Iterator[None]:
    """Say what an error of a `FileLock` in a folder means; that it is held by another passes.

    Raises:
        WorkspaceError: the file system cannot lock, or the lock's file cannot be written.
    """
    from filelock import Timeout

    try:
        yield
    except Timeout:
        raise
    except (PermissionError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise WorkspaceError(_unwritable(folder, error)) from error
    except (OSError, NotImplementedError) as error:
        code = getattr(error, "errno", None)
        if code in (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE):
            raise WorkspaceError(_unwritable(folder, error)) from error
        reason = os.strerror(code) if code else "it knows none"
        raise WorkspaceError(cannot_lock(folder, reason)) from error


def _unwritable(folder: Path, error: Exception) -> str:
    return (
        f"the lock of a workspace must be a file that can be written, and that in {folder} is not "
        f"({getattr(error, 'strerror', None) or error}): check permissions and free space, or "
        "choose another folder with --workspace FOLDER"
    )


def lock_problem(folder: Path) -> str:
    """Why files of a folder cannot be locked as SQLite does it; empty where they can.

    It tries with a file of its own: closing any other would free the locks that SQLite holds on it.
    """
    try:
        import fcntl
    except ImportError:  # Windows, whose file systems all can
        return ""
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - its own errors are no locks'
    except OSError:
        return ""  # read-only or full: said by who wants to write
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return os.strerror(error.errno or errno.ENOLCK)
    return ""


def cannot_lock(folder: Path, reason: str) -> str:
    """The message for a workspace on a file system that cannot lock files."""
    return (
        f"a workspace must be on a file system that can lock files, and that of {folder} cannot "
        f"({reason}): choose a folder on a local disk with --workspace FOLDER (the photos can stay "
        "where they are), or mount the network disk with locks"
    )
