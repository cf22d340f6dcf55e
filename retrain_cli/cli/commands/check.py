"""`retrain check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import at_most_one, workspace_of
from retrain_cli.cli.grammar import check_goes_with
from retrain_cli.cli.options import Described, DryRun, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.errors import ConfigError
from retrain_cli.workflows.check import CheckRequest

_LOOKS_KEPT = (
    "photos that were looked at are remembered: the same command goes on from there, and judges "
    "the labels from the beginning"
)


@command
def check(
    ctx: typer.Context,
    request: Annotated[
        CheckRequest,
        Fields(
            run=Described(
                "Run whose training settings judge the labels (default: 1,000 default steps).",
                is_argument=True,
                and_option=True,
            ),
            labels="Whether to look for label errors, which trains a head for each fold.",
            borders="Whether to look for classes that the latest run knows by the border of their "
            "photos; only where OpenVINO runs its backbone.",
            folds="Folds of the cross-validation behind that.",
        ),
    ],
    script: Annotated[
        Path | None, typer.Option(help="Write suggested moves to this file, to be read and edited.")
    ],
    quarantine: Annotated[
        Path | None,
        typer.Option(
            help="Folder for photos that fit no class (default: beside the image folder, its name "
            "with -quarantine)."
        ),
    ],
    apply: Annotated[
        Path | None, typer.Option(help="Do the moves of this script, all or none; deletes nothing.")
    ],
    undo: Annotated[bool, typer.Option("--undo", help="Take back the moves of the last --apply.")],
    dry_run: DryRun,
    form: JsonForm,
) -> None:
    """Look for bad photos, duplicates, label errors and small classes.

    It checks the dataset last used, from its cached bottlenecks and a look at each photo that is
    remembered. Label errors are found by confident learning on cross-validated predictions.
    """
    from retrain_cli.cli.views import check as view
    from retrain_cli.datasets.sources.photo_source import is_folder
    from retrain_cli.workflows.check import check_dataset, default_quarantine
    from retrain_cli.workflows.shared.suggestions import make_script

    workspace = workspace_of(ctx)
    at_most_one({"--script": script is not None, "--apply": apply is not None, "--undo": undo})
    is_move = apply is not None or undo
    check_goes_with(ctx, {"dry_run": "--dry-run"}, "--apply SCRIPT or --undo", given=is_move)
    if is_move:
        _move(ctx, apply, form, dry_run=dry_run)
        return
    with interrupts.keeping(lambda: _LOOKS_KEPT), console.progress("checking") as update:
        report = check_dataset(
            request,
            workspace,
            lambda stage, done, total: update(console.Step(done, total, stage=stage)),
        )
    folder = quarantine or default_quarantine(report.dataset.root)
    moves = make_script(report, folder)
    view.show_report(report, moves, form)
    if script is not None:
        if not is_folder(report.dataset.root):
            raise ConfigError(
                f"--script moves files of a folder, and the photos are those of "
                f"{report.dataset.root}: "
                "leave it out, and do there what the report advises"
            )
        view.save_script(moves, script)
    else:
        view.offer_script(moves)


def _move(ctx: typer.Context, script: Path | None, form: console.Form, *, dry_run: bool) -> None:
    from retrain_cli.cli.views import check as view
    from retrain_cli.workflows.shared import apply_moves

    workspace = workspace_of(ctx)
    if dry_run:
        if script is None:
            plan = apply_moves.plan_undo(workspace)
        else:
            plan = apply_moves.plan_script(script, workspace)
        view.show_moves(plan, form, undone=script is None, planned=True)
        return
    with console.progress("moving") as update:

        def listen(done: int, total: int) -> None:
            update(console.Step(done, total))

        if script is not None:
            journal = apply_moves.apply_script(script, workspace, listen)
        else:
            journal = apply_moves.undo_last(workspace, listen)
    view.show_moves(journal, form, undone=script is None)
