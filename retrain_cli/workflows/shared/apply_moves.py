"""`retrain check --apply` and `--undo`: photos move, and move back."""

from __future__ import annotations

from pathlib import Path

from retrain_cli.datasets.move_journal import Journal, Told, latest_journal, plan_moves
from retrain_cli.datasets.moves import MoveScript, read_script
from retrain_cli.datasets.moving import perform, undo, way_back
from retrain_cli.errors import DatasetError, setting
from retrain_cli.notebook.bars import counted
from retrain_cli.paths import StrPath, as_path
from retrain_cli.workspace import Workspace

_FOLDER = "moves"
_MOVING = counted("moves")


def apply_script(path: StrPath, workspace: Workspace, on_progress: Told = _MOVING) -> Journal:
    """Do the moves of a script, all of them or none.

    What was cut short before is finished first: a script (where it was this one, that is all), or
    taking one back.

    Raises:
        DatasetError: the script is wrong, empty, or a photo is not as it was.
        WorkspaceError: the disk refuses; `--apply` again goes on, `--undo` takes back.
    """
    path = as_path(path)
    script = read_script(path)
    folder = workspace.root / _FOLDER
    workspace.prepare()
    with workspace.lock("check --apply"):
        before = latest_journal(folder)
        if before is not None and before.undoing:
            undo(before, on_progress)
        elif before is not None and not before.finished:
            before = perform(before, on_progress)
            sources = {str(script.root / move.source) for move in script.moves}
            if sources == {move.source for move in before.moves}:
                return before
        return perform(_planned(script, path, folder), on_progress)


def plan_script(path: StrPath, workspace: Workspace) -> Journal:
    """What `apply_script` would move; checked against the disk, and nothing is moved.

    Raises:
        DatasetError: as there; or moves that were cut short have to be finished first.
    """
    path = as_path(path)
    script = read_script(path)
    folder = workspace.root / _FOLDER
    before = latest_journal(folder)
    if before is not None and (before.undoing or not before.finished):
        raise DatasetError(
            f"moves that were cut short come first: {setting('apply')} goes on with them, "
            f"{setting('undo')} takes them back"
        )
    return _planned(script, path, folder)


def _planned(script: MoveScript, path: Path, folder: Path) -> Journal:
    if not script.moves:
        raise DatasetError(f"{path} has no move to make: take the # from the lines you agree with")
    return plan_moves(script, folder)


def plan_undo(workspace: Workspace) -> Journal:
    """What `undo_last` would take back; nothing is moved.

    Raises:
        DatasetError: as there.
    """
    journal = _last(workspace)
    way_back(journal)
    return journal


def _last(workspace: Workspace) -> Journal:
    journal = latest_journal(workspace.root / _FOLDER)
    if journal is None:
        raise DatasetError(
            f"{setting('undo')} takes back what `retrain check --apply` did, and it did nothing"
        )
    return journal


def undo_last(workspace: Workspace, on_progress: Told = _MOVING) -> Journal:
    """Take back the moves of the last script that was applied here.

    Raises:
        DatasetError: there is none, or a photo changed since.
    """
    with workspace.lock("check --undo"):
        return undo(_last(workspace), on_progress)
