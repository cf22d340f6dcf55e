"""A run's own backbone that others work with: their weights file lies in its folder.

Others are runs whose heads were trained on its bottlenecks, and the workspace, whose last
bottlenecks it may have made. They name the file by its path.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.errors import RetrainError, RunError, setting
from retrain_cli.paths import absolute
from retrain_cli.runs.info import OWN_BACKBONE
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class Borrowers:
    """Who works with the backbone of a run.

    Attributes:
        runs: names of other runs.
        is_last_used: whether the bottlenecks last used are of it.
    """

    runs: tuple[str, ...] = ()
    is_last_used: bool = False

    def __str__(self) -> str:
        used = ("the bottlenecks last used",) if self.is_last_used else ()
        return " and ".join((*(f"run {name}" for name in self.runs), *used))


def borrowers_of(run: Run, leave_out: Collection[Path] = ()) -> Borrowers:
    """Who works with the backbone of a run, in its workspace.

    Args:
        run: the run.
        leave_out: folders of runs that do not count.
    """
    weights = str(_own_weights(run.folder))
    others = tuple(
        other.name
        for other in RunStore(run.folder.parent).readable()
        if other.folder not in (run.folder, *leave_out) and other.info.backbone.weights == weights
    )
    last_used = _state_beside(run).get("last_used")  # those of before may go
    return Borrowers(others, weights in _strings(last_used))


def check_not_lent(folders: Collection[Path]) -> None:
    """Refuse to take away a backbone that others work with.

    Args:
        folders: of the runs that are to go, together.

    Raises:
        RunError: others do; the message names them.
    """
    for folder in folders:
        found = borrowers_of(Run(folder), folders)
        if str(found):
            raise RunError(
                f"the backbone of run {folder.name} lies in its folder, and {found} cannot do "
                f"without it: remove or replace them first, or say {setting('force', True)}"
            )


def follow_backbone(old: Path, new: Path) -> None:
    """Let all that names the backbone of a run name it in its new folder.

    Args:
        old: the folder that the run had.
        new: the folder that it has.

    Raises:
        WorkspaceError: the workspace cannot be written.
    """
    workspace = Workspace(absolute(new).parent.parent)
    state = _state_beside(Run(new))
    before, after = (str(_own_weights(folder)) for folder in (old, new))
    if before in _strings(state):
        workspace.write_state(with_string(state, before, after))


def with_string(value: Any, before: str, after: str) -> Any:
    """JSON values in which each string that is `before` is `after`."""
    if isinstance(value, Mapping):
        return {key: with_string(one, before, after) for key, one in value.items()}
    if isinstance(value, list):
        return [with_string(one, before, after) for one in value]
    return after if value == before else value


def _own_weights(folder: Path) -> Path:
    return absolute(folder / OWN_BACKBONE)


def _state_beside(run: Run) -> dict[str, Any]:
    """What the workspace of a run remembers; nothing where that cannot be read."""
    try:
        return Workspace(absolute(run.folder).parent.parent).read_state()
    except RetrainError:
        return {}


def _strings(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*map(_strings, value.values()))
    if isinstance(value, list):
        return set().union(*map(_strings, value))
    return {value} if isinstance(value, str) else set()
