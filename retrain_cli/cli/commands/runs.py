"""`retrain runs [show|rm|path]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import JsonForm, RunArgument
from retrain_cli.cli.signatures import command
from retrain_cli.errors import RetrainError
from retrain_cli.flags import flag_of
from retrain_cli.reports.text import percent

if TYPE_CHECKING:
    from retrain_cli.runs.run import Run, RunStore

app = typer.Typer(help="List, show and remove trained runs.", invoke_without_command=True)


@app.callback()
@command
def list_runs(ctx: typer.Context, form: JsonForm) -> None:
    """List the runs of the workspace, newest first."""
    if ctx.invoked_subcommand is not None:
        return
    runs = [run for run in _store(ctx).list() if _is_readable(run)]
    if form == "json":
        console.document([_summary(run) for run in runs])
    elif not runs:
        console.note("no runs yet: `retrain train` makes one")
    else:
        columns = ("run", "top-1", "classes", "backbone", "optimizer", "steps", "created")
        rows = [_row(run) for run in runs]
        spare = (5, 4, 2, 6)
        more = "--json, or `retrain runs show RUN`"
        console.table(console.Table(columns, rows, right=(1, 2, 5), spare=spare, more=more))


@app.command()
@command
def show(ctx: typer.Context, run: RunArgument, form: JsonForm) -> None:
    """Show what a run was made from, how good it is, and the commands that make it again.

    With --json also every setting and version.
    """
    from retrain_cli.cli.views.runs import show_run

    chosen = _store(ctx).get(run)
    if form == "json":
        console.document(_summary(chosen))
    else:
        show_run(chosen)


@app.command()
@command
def rm(
    ctx: typer.Context,
    runs: Annotated[list[str], typer.Argument(help="Names of the runs.")],
) -> None:
    """Remove runs; bottlenecks stay."""
    store = _store(ctx)
    for name in runs:  # all must exist before any goes
        store.get(name)
    for name in dict.fromkeys(runs):
        store.remove(name)
        console.note(f"removed run {name}")


@app.command()
@command
def path(ctx: typer.Context, run: RunArgument) -> None:
    """Print the folder of a run, for other programs."""
    console.line(str(_store(ctx).path(run)))


def _store(ctx: typer.Context) -> RunStore:
    from retrain_cli.runs.run import RunStore

    return RunStore(workspace_of(ctx).runs_dir)


def _is_readable(run: Run) -> bool:
    """Whether the list can show it; a damaged run is named, and keeps no other from being seen."""
    try:
        _row(run)
    except RetrainError as error:
        console.warn(error.worded(flag_of))
        return False
    return True


def _row(run: Run) -> list[str]:
    config, info = run.config, run.info
    top1 = _test_top1(run)
    return [
        run.name,
        percent(top1),
        str(len(run.labels)),
        info.backbone.label(),
        config.optimizer,
        str(info.best_step),
        info.created.replace("T", " ")[:16],
    ]


def _test_top1(run: Run) -> float | None:
    value = (run.metrics.get("test") or {}).get("top1")
    return None if value is None else float(value)


def _summary(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "metrics": dict(run.metrics),
        **run.info.to_dict(),
        "calibration": run.calibration and run.calibration.to_dict(),
        "classes": list(run.labels),
    }
