"""Photos move, and move back, in steps that a crash may end anywhere.

First each photo gets its second name, or its copy on another disk; when all of these are on the
disk, the old names go; when these are gone from the disk, the journal says so. An old name goes
only where the photo provably has another one: a second link to the same file, or the copy whose
inode the journal tells. Files that merely hold the same are both kept.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from enum import Enum
from pathlib import Path

from retrain_cli.datasets.move_journal import (
    Journal,
    PlannedMove,
    Told,
    check_source,
    digest_of,
    regular_file,
)
from retrain_cli.durable import draft_folder, make_folder, name_draft, rename_alone, sync
from retrain_cli.errors import DatasetError, WorkspaceError, setting
from retrain_cli.workspace import writing_to

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


class _State(Enum):
    """How far a move has come."""

    TO_DO = "the photo is where it was"
    PLACED = "it has its new name, and its old one"
    DONE = "it has moved"
    IN_DOUBT = "two files hold the same, and nobody knows whether one is a copy of the other"


def perform(journal: Journal, on_progress: Told = lambda done, total: None) -> Journal:
    """Do what a journal says, or what is left of it; returns it finished.

    Raises:
        DatasetError: a photo is neither where it was nor where it should be; nothing is moved then.
        WorkspaceError: the disk has no room for all, so that nothing is moved, or refuses.
    """
    states = [_state(move) for move in journal.moves]
    _check_room(journal.moves, states)
    with writing_to(journal.path):
        make_folder(journal.path.parent)
    journal = replace(journal, finished=False, undoing=False)
    journal.save()
    journal = _carry_out(journal, journal.moves, states, on_progress)
    done = replace(journal, finished=True)
    done.save()
    return done


def undo(journal: Journal, on_progress: Told = lambda done, total: None) -> Journal:
    """Take the moves of a journal back, last first, and forget it; folders left empty go.

    Raises:
        DatasetError: a photo changed since, or its old place is taken; nothing is moved then.
        WorkspaceError: the disk has no room for all, so that nothing is moved, or refuses.
    """
    back, states = way_back(journal)
    journal = replace(journal, finished=False, undoing=True)
    journal.save()
    journal = _carry_out(journal, back, states, on_progress)
    for folder in {Path(move.source).parent for move in back}:
        with suppress(OSError):  # not empty
            folder.rmdir()
    with writing_to(journal.path):
        os.unlink(journal.path)  # noqa: PTH108
        sync(journal.path.parent)
    return journal


def way_back(journal: Journal) -> tuple[tuple[PlannedMove, ...], list[_State]]:
    """The moves that take a journal's back, and how far each has come; nothing is moved.

    Raises:
        DatasetError: a photo changed since, or its old place is taken.
        WorkspaceError: the disk has no room for all.
    """
    back = tuple(move.reversed() for move in reversed(journal.moves))
    states = [_state(move) for move in back]
    for move in back:
        _check_way_back(move)
    _check_room(back, states)
    return back, states


def _state(move: PlannedMove) -> _State:
    """How far a move has come; looks, and touches nothing.

    Raises:
        DatasetError: the photo is neither here nor there, or something is in the way.
    """
    source, target = Path(move.source), Path(move.target)
    here, there = regular_file(source), regular_file(target)
    if there is None or digest_of(target) != move.digest:
        check_source(source, move.digest)
        if os.path.lexists(target):
            raise DatasetError(
                f"a photo never replaces what is there, and the place of {target} is taken: "
                "move that away"
            )
        return _State.TO_DO
    if here is None or _same_entry(source, target):
        return _State.DONE
    if os.path.samestat(here, there):
        return _State.PLACED if here.st_nlink > 1 else _State.DONE
    if digest_of(source) != move.digest:
        return _State.DONE  # another file was put into its old place
    is_copy = move.copy and move.copy in (here.st_ino, there.st_ino)
    return _State.PLACED if is_copy else _State.IN_DOUBT


def _same_entry(one: Path, other: Path) -> bool:
    """Whether two paths lead to one name, as through a folder that is a link to the other."""
    return one.name == other.name and one.parent.samefile(other.parent)


def _check_way_back(move: PlannedMove) -> None:
    """Whoever takes back wants the photo at its old place, as a file of its own.

    Raises:
        DatasetError: a link leads from there to where the photo is now.
    """
    if regular_file(Path(move.source)) and _same_entry(Path(move.source), Path(move.target)):
        raise DatasetError(
            f"{setting('undo')} puts each photo back, but {Path(move.target).parent} now leads to "
            f"{Path(move.source).parent}: put the folder back in place of the link"
        )


def _check_room(moves: Sequence[PlannedMove], states: Sequence[_State]) -> None:
    """Add up what is to be copied to each disk, before the first photo moves.

    Raises:
        WorkspaceError: a disk has no room for all of it.
    """
    needed: Counter[int] = Counter()
    folders: dict[int, Path] = {}
    for move, state in zip(moves, states, strict=True):
        folder = _nearest(Path(move.target).parent)
        device = _device(folder)
        if state is _State.TO_DO and device != _device(Path(move.source)):
            needed[device] += Path(move.source).stat().st_size
            folders[device] = folder
    for device, size in needed.items():
        free = shutil.disk_usage(folders[device]).free
        if size > free:
            raise WorkspaceError(
                f"the photos to be moved to {folders[device]} have {size / 1e6:,.1f} MB, and "
                f"{free / 1e6:,.1f} MB are free there: free some space; nothing was moved"
            )


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _device(path: Path) -> int:
    return path.stat().st_dev


def _carry_out(
    journal: Journal, way: Sequence[PlannedMove], states: Sequence[_State], on_progress: Told
) -> Journal:
    """Do what is left of `way`; returns the journal, with the copies made and the photos kept."""
    journal = _give_new_names(journal, way, states, on_progress)
    moved = [
        move
        for move, state in zip(way, states, strict=True)
        if state in (_State.TO_DO, _State.PLACED)
    ]
    _sync_all([move.target for move in moved])
    copies = {_pair(move): move.copy for move in journal.moves}
    for move in moved:
        with writing_to(Path(move.source)):
            _remove_old_name(move, copies[_pair(move)])
    _sync_all([move.source for move in moved])
    in_doubt = (m.source for m, state in zip(way, states, strict=True) if state is _State.IN_DOUBT)
    return replace(journal, kept=tuple(in_doubt))


def _give_new_names(
    journal: Journal, way: Sequence[PlannedMove], states: Sequence[_State], on_progress: Told
) -> Journal:
    """Give each photo its new name or copy, beside the old; the journal knows each copy."""
    drafts: dict[PlannedMove, Path] = {}
    with ExitStack() as stack:
        folders: dict[Path, Path] = {}
        for done, (move, state) in enumerate(zip(way, states, strict=True), start=1):
            target = Path(move.target)
            with writing_to(target):
                if state is _State.TO_DO and not _link(move):
                    if target.parent not in folders:
                        folders[target.parent] = stack.enter_context(draft_folder(target.parent))
                    drafts[move] = folders[target.parent] / str(done)
                    _copy(move, drafts[move])
            on_progress(done, len(way))
        if drafts:
            journal = _with_copies(journal, drafts)
            journal.save()
        for move, draft in drafts.items():
            with writing_to(Path(move.target)):
                name_draft(draft, Path(move.target))
    return journal


def _link(move: PlannedMove) -> bool:
    """Give a file a second name, never replacing another; False where that is another disk."""
    source, target = Path(move.source), Path(move.target)
    make_folder(target.parent)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _NO_LINKS and _device(source) == _device(target.parent):
            rename_alone(source, target)
        elif error.errno not in (*_NO_LINKS, errno.EXDEV):
            raise
        else:
            return False
    return True


def _copy(move: PlannedMove, draft: Path) -> None:
    """A complete copy under a draft's name, read again and on the disk."""
    shutil.copy2(move.source, draft)
    sync(draft)
    if digest_of(draft) != move.digest:
        raise OSError(errno.EIO, "the copy is not what was copied")


def _with_copies(journal: Journal, drafts: Mapping[PlannedMove, Path]) -> Journal:
    """The journal with the inode of each copy, which stays the same when it gets its name."""
    inodes = {_pair(move): draft.stat().st_ino for move, draft in drafts.items()}
    moves = (replace(move, copy=inodes.get(_pair(move), move.copy)) for move in journal.moves)
    return replace(journal, moves=tuple(moves))


def _pair(move: PlannedMove) -> frozenset[str]:
    """A move, whichever way it is made."""
    return frozenset((move.source, move.target))


def _remove_old_name(move: PlannedMove, copy: int) -> None:
    """Remove the old name of a photo that provably has another."""
    source, target = Path(move.source), Path(move.target)
    here, there = regular_file(source), regular_file(target)
    if here is None or there is None or _same_entry(source, target):
        return
    is_link = os.path.samestat(here, there) and here.st_nlink > 1
    is_copy = not os.path.samestat(here, there) and copy in (here.st_ino, there.st_ino)
    if is_link or is_copy:
        os.unlink(source)  # noqa: PTH108


def _sync_all(names: Iterable[str]) -> None:
    """See to it that the names in the folders of these files are on the disk."""
    for folder in dict.fromkeys(Path(name).parent for name in names):
        with writing_to(folder):
            sync(folder)
