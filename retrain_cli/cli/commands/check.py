"""`retrain check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.errors import ConfigError

_LOOKS_KEPT = (
    "photos that were looked at are remembered: the same command goes on from there, and judges "
    "the labels from the beginning"
)


def check(
    ctx: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(
            help="Run whose training settings judge the labels (default: 1,000 default steps)."
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(help="Whether to look for label errors, which trains a head for each fold."),
    ] = True,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation behind that.")] = 5,
    script: Annotated[
        Path | None, typer.Option(help="Write suggested moves to this file, to be read and edited.")
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option(
            help="Folder for photos that fit no class (default: beside the image folder, its name "
            "with -quarantine)."
        ),
    ] = None,
    apply: Annotated[
        Path | None, typer.Option(help="Do the moves of this script, all or none; deletes nothing.")
    ] = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back the moves of the last --apply.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Look for bad photos, duplicates, label errors and small classes.

    It checks the dataset last used, from its cached bottlenecks and a look at each photo that is
    remembered. Label errors are found by confident learning on cross-validated predictions.
    """
    from retrain_cli.cli.views import check as view
    from retrain_cli.workflows.check import CheckRequest, check_dataset, default_quarantine
    from retrain_cli.workflows.shared.suggestions import make_script

    workspace = workspace_of(ctx)
    if (apply is not None) + undo + (script is not None) > 1:
        raise ConfigError("choose one of --script, --apply and --undo")
    if apply is not None or undo:
        _move(ctx, apply, json)
        return
    with interrupts.keeping(lambda: _LOOKS_KEPT), console.progress("checking") as update:
        report = check_dataset(
            CheckRequest(run, folds, labels),
            workspace,
            lambda stage, done, total: update(console.Step(done, total, stage)),
        )
    folder = quarantine or default_quarantine(report.dataset.root)
    moves = make_script(report, folder)
    view.show_report(report, moves, json)
    if script is not None:
        view.save_script(moves, script)
    else:
        view.offer_script(moves)


def _move(ctx: typer.Context, script: Path | None, json: bool) -> None:
    from retrain_cli.cli.views import check as view
    from retrain_cli.workflows.shared.apply_moves import apply_script, undo_last

    workspace = workspace_of(ctx)
    with console.progress("moving") as update:

        def listen(done: int, total: int) -> None:
            update(console.Step(done, total))

        if script is not None:
            journal = apply_script(script, workspace, listen)
        else:
            journal = undo_last(workspace, listen)
    view.show_moves(journal, json, undone=script is None)
