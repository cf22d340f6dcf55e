"""A folder that appears complete or not at all, whenever the process dies."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from retrain_cli.durable import LEFT_BEHIND_S, sweep_drafts, sync, sync_tree
from retrain_cli.errors import RunError, setting
from retrain_cli.paths import is_plain_name
from retrain_cli.workspace import writing_to

NOTE_FILE = "note.txt"
"""Of a run's folder: what its owner wrote about it."""

LATEST = "latest"
"""In place of a run's name: the one finished last."""

_DRAFT, _REMOVED = ".draft-", ".removed-"


@dataclass(frozen=True)
class RunFolder:
    """A draft folder and the place it is meant for.

    Attributes:
        root: the folder of all runs.
        name: the run's name; None for one made of the time when it is published.
        draft: the hidden folder that is filled.
    """

    root: Path
    name: str | None
    draft: Path

    @classmethod
    @contextmanager
    def reserve(cls, root: Path, name: str | None) -> Iterator[RunFolder]:
        """Make a draft folder; whatever of it is unpublished at the end is removed.

        A lock beside it tells other processes that its writer is alive; the system drops it when
        the writer dies.
        """
        draft = root / f"{_DRAFT}{uuid.uuid4().hex[:12]}"
        try:
            with ExitStack() as stack:
                with writing_to(root):
                    stack.enter_context(FileLock(_lock_of(draft)))
                    draft.mkdir()
                yield cls(root, name, draft)
        finally:
            _discard(draft)

    def publish(self) -> Path:
        """Write the draft through to the disk and rename it to its place.

        Raises:
            RunError: the name was taken meanwhile.
        """
        sync_tree(self.draft)
        target = self._rename()
        sync(self.root)
        return target

    def _rename(self) -> Path:
        for name in [self.name] if self.name is not None else _timed_names():
            target = self.root / name
            try:
                # A folder cannot be renamed over another that has files in it: no race, no loss.
                if not target.exists():
                    return self.draft.rename(target)
            except OSError:
                if not target.exists():
                    raise
        raise RunError(
            f"a run's name must be new, but {self.name!r} was taken while this one was trained: "
            f"choose another {setting('name')}"
        )


def _timed_names() -> Iterator[str]:
    """Names that sort by time: `2026-11-20-185301`, then with `-2`, `-3` and so on where taken."""
    stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
    yield stamp
    yield from (f"{stamp}-{count}" for count in range(2, 1000))


def check_name(name: str) -> str:
    """Return the name.

    Raises:
        RunError: it is empty, starts with a dot, or holds what not every system allows.
    """
    if name == LATEST:
        raise RunError(f"{LATEST!r} means the run that was finished last: choose another name")
    if not is_plain_name(name):
        raise RunError(
            "a run's name must be a plain folder name that does not start with a dot, "
            f"not {name!r}: use letters, digits, '-' and '_'"
        )
    return name


def finished(folder: Path) -> int:
    """When a run was finished, in nanoseconds: its place among the others, newest last."""
    return (folder / "config.json").stat().st_mtime_ns


def is_run(path: Path) -> bool:
    """Whether this is a finished run: hidden folders and stray files are not."""
    return not path.name.startswith(".") and (path / "config.json").is_file()


def clean_leftovers(root: Path) -> None:
    """Remove what writers and removals that were killed left behind; living writers keep theirs."""
    for removed in root.glob(f"{_REMOVED}*"):
        shutil.rmtree(removed, ignore_errors=True)
    for folder in filter(is_run, root.iterdir()):
        sweep_drafts(folder, older_versions=True)
    for draft in root.glob(f"{_DRAFT}*"):
        if draft.suffix == ".lock":
            _remove_lone_lock(draft)
            continue
        # Once the lock is had, its writer is gone for good: nobody else knows this name.
        with suppress(Timeout):
            with FileLock(_lock_of(draft), timeout=0):
                pass
            _discard(draft)


def _remove_lone_lock(lock: Path) -> None:
    """Remove the lock of a writer that was killed before it made its folder, long ago."""
    with suppress(OSError, Timeout):
        if lock.with_suffix("").exists() or time.time() - lock.stat().st_mtime < LEFT_BEHIND_S:
            return
        with FileLock(lock, timeout=0):
            lock.unlink()


def _discard(draft: Path) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    with suppress(OSError):  # on Windows another process may look at it just now
        _lock_of(draft).unlink()


def _lock_of(draft: Path) -> Path:
    return draft.with_name(draft.name + ".lock")
