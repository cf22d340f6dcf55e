"""Moves that can be taken back, and that survive a crash in the middle.

The journal says what is about to be done before anything is done, so that whatever stops a process,
the next one finds out from the disk how far it came: a photo is where it was, or where it should
be, and its digest tells that it is the one.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from pathlib import Path

from retrain_cli.datasets.moves import MoveScript
from retrain_cli.errors import DatasetError, setting
from retrain_cli.workspace import write_atomically, writing_to

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class PlannedMove:
    """One file: absolute paths, and the digest of its content in hex."""

    source: str
    target: str
    digest: str

    def reversed(self) -> PlannedMove:
        """The way back."""
        return PlannedMove(self.target, self.source, self.digest)


@dataclass(frozen=True)
class Journal:
    """Moves that were begun.

    Attributes:
        path: its file.
        moves: what is done, in order.
        finished: whether all of it was done.
    """

    path: Path
    moves: tuple[PlannedMove, ...]
    finished: bool = False

    def save(self) -> None:
        """Write it through to the disk."""
        rows = [asdict(move) for move in self.moves]
        write_atomically(self.path, json.dumps({"finished": self.finished, "moves": rows}))

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Read it.

        Raises:
            DatasetError: it is damaged.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            moves = tuple(PlannedMove(**row) for row in values["moves"])
            return cls(path, moves, values["finished"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path} should tell which photos were moved ({error!r})") from error


def latest_journal(folder: Path) -> Journal | None:
    """The last journal of a folder that was not undone."""
    paths = sorted(folder.glob("*.json"))
    return Journal.load(paths[-1]) if paths else None


def plan_moves(script: MoveScript, folder: Path) -> Journal:
    """Check a script against the disk and give each photo a free name; nothing is moved.

    Raises:
        DatasetError: a photo is gone, changed, a link, or named twice; naming the first.
    """
    taken: set[Path] = set()
    planned: list[PlannedMove] = []
    for move in script.moves:
        source = script.root / move.source
        _check_source(source, move.digest)
        target = _free((script.quarantine if move.quarantine else script.root) / move.target, taken)
        taken.add(target)
        planned.append(PlannedMove(str(source), str(target), move.digest))
    if len({move.source for move in planned}) < len(planned):
        raise DatasetError("a script moves each photo once, and this one names a photo twice")
    numbers = [int(path.stem) for path in folder.glob("*.json") if path.stem.isdigit()]
    return Journal(folder / f"{max(numbers, default=0) + 1:06}.json", tuple(planned))


def perform(journal: Journal, on_progress: Told = lambda done, total: None) -> Journal:
    """Do what a journal says, or what is left of it; returns it finished.

    Raises:
        DatasetError: a photo is neither where it was nor where it should be.
        WorkspaceError: the disk refuses.
    """
    with writing_to(journal.path):
        journal.path.parent.mkdir(parents=True, exist_ok=True)
    journal.save()
    _carry_out(journal.moves, on_progress)
    done = replace(journal, finished=True)
    done.save()
    return done


def undo(journal: Journal, on_progress: Told = lambda done, total: None) -> None:
    """Take the moves of a journal back, last first, and forget it; folders left empty go.

    Raises:
        DatasetError: a photo changed since, or its old place is taken; nothing is moved then.
    """
    back = [move.reversed() for move in reversed(journal.moves)]
    for move in back:
        if not _is_done(move):
            _check_source(Path(move.source), move.digest)
            if os.path.lexists(move.target):
                raise DatasetError(
                    f"{setting('undo')} puts each photo back, but the place of {move.target} is "
                    "taken: move what is there away"
                )
    replace(journal, finished=False).save()
    _carry_out(back, on_progress)
    for folder in {Path(move.source).parent for move in back}:
        with suppress(OSError):  # not empty
            folder.rmdir()
    with writing_to(journal.path):
        journal.path.unlink()


def _carry_out(moves: Iterable[PlannedMove], on_progress: Told) -> None:
    every = list(moves)
    for done, move in enumerate(every, start=1):
        if not _is_done(move):
            _check_source(Path(move.source), move.digest)
            with writing_to(Path(move.target)):
                _relocate(Path(move.source), Path(move.target))
        on_progress(done, len(every))


def _is_done(move: PlannedMove) -> bool:
    """Whether the photo arrived; what a crash between copy and removal left behind is removed."""
    source, target = Path(move.source), Path(move.target)
    if not target.is_file() or _digest(target) != move.digest:
        return False
    if source.is_file() and not source.is_symlink() and _digest(source) == move.digest:
        source.unlink()
    return not os.path.lexists(source)


def _relocate(source: Path, target: Path) -> None:
    """Move a file without ever replacing another: a second name first, then the old one goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        _copy(source, target)
    source.unlink()


def _copy(source: Path, target: Path) -> None:
    """For another disk, or one without hard links: complete under a hidden name, then in place."""
    draft = target.with_name(f".{target.name}.part")
    shutil.copy2(source, draft)
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    if os.path.lexists(target):
        draft.unlink()
        raise FileExistsError(errno.EEXIST, "File exists", str(target))
    draft.replace(target)


def _check_source(path: Path, digest: str) -> None:
    if path.is_symlink():
        raise DatasetError(f"a link cannot be moved: take {path} out of the script")
    if not path.is_file():
        raise DatasetError(
            f"every photo of the moves must be where it was; {path} is gone: run `retrain "
            f"bottlenecks` and `retrain check --script FILE` again"
        )
    if _digest(path) != digest:
        raise DatasetError(
            f"every photo of the moves must be as it was; {path} has changed: run `retrain "
            f"bottlenecks` and `retrain check --script FILE` again"
        )


def _digest(path: Path) -> str:
    try:
        return blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror or error})") from error


def _free(path: Path, taken: set[Path]) -> Path:
    """The path, or `name-2.jpg`, `name-3.jpg` and so on where it is taken."""
    number, candidate = 1, path
    while candidate in taken or os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
