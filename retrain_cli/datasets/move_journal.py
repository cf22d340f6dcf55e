"""What moves are about to be made, written down before anything is done.

Whatever stops a process, the next one finds out from journal and disk how far it came: a photo is
where it was, or where it should be, and its digest tells that it is the one. `moving.py` does it.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from retrain_cli.datasets.moves import MoveScript
from retrain_cli.errors import DatasetError
from retrain_cli.files import hex_digest, parse_json, read_file
from retrain_cli.paths import check_possible
from retrain_cli.workspace import write_atomically

Told = Callable[[int, int], None]

_NAME = re.compile(r"[0-9]{6,}\.json")


@dataclass(frozen=True)
class PlannedMove:
    """One file: absolute paths, and the digest of its content in hex.

    Attributes:
        source: where it was.
        target: where it goes.
        digest: BLAKE2b-128 of the content, in hex.
        copy: inode of the copy that we made for another disk; 0 where a second name does.
    """

    source: str
    target: str
    digest: str
    copy: int = 0

    def reversed(self) -> PlannedMove:
        """The way back."""
        return replace(self, source=self.target, target=self.source)


@dataclass(frozen=True)
class Journal:
    """Moves that were begun.

    Attributes:
        path: its file.
        moves: what is done, in order.
        finished: whether all of it was done.
        undoing: whether it is being taken back.
        kept: old places where a photo was left, for it is not sure that it is the one that moved.
    """

    path: Path
    moves: tuple[PlannedMove, ...]
    finished: bool = False
    undoing: bool = False
    kept: tuple[str, ...] = ()

    def save(self) -> None:
        """Write it through to the disk."""
        rows = [
            {key: value for key, value in asdict(move).items() if key != "copy" or value}
            for move in self.moves
        ]
        state = {"finished": self.finished, "undoing": self.undoing}
        write_atomically(self.path, json.dumps({**state, "moves": rows}))

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Read it.

        Raises:
            DatasetError: it is damaged.
        """
        try:
            values = parse_json(read_file(path))
            moves = tuple(_planned(row) for row in values["moves"])
            return cls(path, moves, bool(values["finished"]), bool(values.get("undoing", False)))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{path} should tell which photos were moved and does not ({error!r}): move it "
                "away; what it did cannot be taken back then"
            ) from error


def _planned(row: dict[str, Any]) -> PlannedMove:
    """A move as it was written down; raises where it is none that we would write."""
    move = PlannedMove(**row)
    if type(move.copy) is not int or not isinstance(move.digest, str):
        raise TypeError("a move has a digest in hex and the inode of its copy")
    for path in (move.source, move.target):
        check_possible(path)
    return move


def latest_journal(folder: Path) -> Journal | None:
    """The last journal of a folder that was not undone."""
    paths = _journals(folder)
    return Journal.load(paths[-1]) if paths else None


def _journals(folder: Path) -> list[Path]:
    """By number. Whatever else is there, such as the draft of an older version, is none."""
    found = [path for path in folder.glob("*.json") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.stem))


def plan_moves(script: MoveScript, folder: Path) -> Journal:
    """Check a script against the disk and give each photo a free name; nothing is moved.

    Raises:
        DatasetError: a photo is gone, changed, a link, or named twice; naming the first.
    """
    taken: set[Path] = set()
    planned: list[PlannedMove] = []
    for move in script.moves:
        source = script.root / move.source
        check_source(source, move.digest)
        target = _free((script.quarantine if move.quarantine else script.root) / move.target, taken)
        taken.add(target)
        planned.append(PlannedMove(str(source), str(target), move.digest))
    if len({move.source for move in planned}) < len(planned):
        raise DatasetError("a script moves each photo once, and this one names a photo twice")
    last = max((int(path.stem) for path in _journals(folder)), default=0)
    return Journal(folder / f"{last + 1:06}.json", tuple(planned))


def check_source(path: Path, digest: str) -> None:
    """Check that a photo is where and as it should be.

    Raises:
        DatasetError: it is gone, changed, or a link.
    """
    found = regular_file(path)
    if found is None and path.is_symlink():
        raise DatasetError(f"a link cannot be moved: take {path} out of the script")
    if found is None:
        raise DatasetError(
            f"every photo of the moves must be where it was; {path} is gone: run `retrain "
            f"bottlenecks` and `retrain check --script FILE` again"
        )
    if digest_of(path) != digest:
        raise DatasetError(
            f"every photo of the moves must be as it was; {path} has changed: run `retrain "
            f"bottlenecks` and `retrain check --script FILE` again"
        )


def regular_file(path: Path) -> os.stat_result | None:
    """What is known of the file at `path`; None where there is none, or a link."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror or error})") from error
    return found if stat.S_ISREG(found.st_mode) else None


def digest_of(path: Path) -> str:
    """BLAKE2b-128 of a file's content, in hex.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        return hex_digest(path)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read ({error.strerror or error})") from error


def _free(path: Path, taken: set[Path]) -> Path:
    """The path, or `name-2.jpg`, `name-3.jpg` and so on where it is taken."""
    number, candidate = 1, path
    while candidate in taken or os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
