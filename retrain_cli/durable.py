"""What outlives a killed process or a power cut: drafts never look finished, names are on the disk.

A draft lies in a hidden folder of its own beside the place it is meant for. The folder's name is
random and only its owner may enter, so that nobody can have put a link there, no search for files
of a kind finds the draft, and what a killed process left behind is known for what it is.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DRAFT_PREFIX = ".retrain-draft-"
LEFT_BEHIND_S = 24 * 3600.0
"""A draft that nobody touched for so long has no writer any more."""

_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)
_OLDER_DRAFT = re.compile(r"\.draft-[^.]+|\..+\.\d+(\.\w+(-wal|-shm|-journal)?)?")
"""How versions before called theirs in the workspace: `.draft-abc`, `.state.123.json`."""


@contextmanager
def draft_folder(parent: Path) -> Iterator[Path]:
    """A new folder for drafts in `parent`; what is left of it when the block ends is removed.

    Leftovers of killed processes beside it are swept up first.

    Raises:
        OSError: `parent` cannot be written.
    """
    sweep_drafts(parent)
    folder = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_drafts(parent: Path, *, older_versions: bool = False) -> None:
    """Remove the drafts in `parent` that were left behind; what cannot be removed stays.

    Args:
        parent: a folder, which need not be there.
        older_versions: drafts of versions before, too; for folders that are the tool's alone.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in list(entries):
            old_draft = older_versions and _OLDER_DRAFT.fullmatch(entry.name) is not None
            if entry.name.startswith(DRAFT_PREFIX) or old_draft:
                _remove_if_left_behind(Path(entry.path))


def _remove_if_left_behind(path: Path) -> None:
    with suppress(OSError):
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
        newest = max(
            (inner.lstat().st_mtime for inner in (path, *(path.rglob("*") if is_folder else ()))),
        )
        if time.time() - newest < LEFT_BEHIND_S:
            return
        if is_folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each name written through to the disk.

    Raises:
        OSError: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        sync(path.parent)


def name_draft(draft: Path, target: Path) -> None:
    """Give a finished draft its name, never replacing another file.

    Where the disk knows second names the draft keeps its own beside the new one.

    Raises:
        FileExistsError: there is something at `target`.
        OSError: the disk refuses.
    """
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # this disk knows no second names
        rename_alone(draft, target)


def rename_alone(path: Path, target: Path) -> None:
    """For disks without second names, where nothing can forbid to replace: look first.

    Raises:
        FileExistsError: there is something at `target`.
        OSError: the disk refuses.
    """
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "File exists", str(target))
    os.rename(path, target)  # noqa: PTH104


def sync(path: Path) -> None:
    """Make sure that the content of a file, or the names in a folder, are on the disk.

    Raises:
        OSError: the disk refuses. A file system that knows no such thing for folders is no error.
    """
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return  # Windows has no handle for this and needs none
    descriptor = os.open(path, os.O_RDONLY if is_folder or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (is_folder and error.errno in _NO_SYNC):
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """`sync` for a folder and all that is in it.

    Raises:
        OSError: the disk refuses.
    """
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink():
            sync(path)
    sync(folder)
