"""`retrain runs [show|rm|verify|path]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import JsonForm, RunArgument
from retrain_cli.cli.signatures import command
from retrain_cli.errors import RetrainError, RunError
from retrain_cli.flags import flag_of
from retrain_cli.reports.text import percent

if TYPE_CHECKING:
    from retrain_cli.runs.run import Run, RunStore
    from retrain_cli.runs.verifying import RunCheck

app = typer.Typer(help="List, show, verify and remove trained runs.", invoke_without_command=True)


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
        console.table(console.Table(columns, rows, right=(1, 2, 5)))


@app.command()
@command
def show(ctx: typer.Context, run: RunArgument, form: JsonForm) -> None:
    """Show how a run was trained and what came of it."""
    chosen = _store(ctx).get(run)
    summary = _summary(chosen)
    if form == "json":
        console.document(summary)
        return
    known = {**summary, "dataset": chosen.info.provenance.described()}
    rows = [[key.replace("_", " "), _shown(value)] for key, value in _flat(known)]
    console.table(console.Table((f"run {chosen.name}", ""), rows))


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
def verify(
    ctx: typer.Context,
    runs: Annotated[list[str] | None, typer.Argument(help="Names of the runs (default: all).")],
    form: JsonForm,
) -> None:
    """Compare the files of runs with their digests; exits with 3 where one has changed."""
    from retrain_cli.runs.verifying import verify_run

    store = _store(ctx)
    chosen = [store.get(name) for name in dict.fromkeys(runs)] if runs else store.list()
    checks = [verify_run(run) for run in chosen]
    if form == "json":
        console.document([check.to_dict() for check in checks])
    elif not checks:
        console.note("no runs yet: `retrain train` makes one")
    for check in checks:
        for fault in check.faults:
            console.warn(f"{check.name}: {fault}")
        if form != "json":
            console.line(f"{check.name}: {_verdict(check)}")
    if damaged := [check.name for check in checks if check.faults]:
        raise RunError(
            f"the files of a run stay as they were written, and some changed in "
            f"{', '.join(damaged)}: put them back, or train it again"
        )


def _verdict(check: RunCheck) -> str:
    if check.faults:
        return f"damaged, {len(check.faults)} of its files" if check.files else "damaged"
    if not check.files:
        return "can be read; made by a version that noted no digests"
    return f"{check.files} files, all as they were written"


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
        _ = _row(run), _summary(run)
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


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        pairs += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return pairs


def _shown(value: Any) -> str:
    if isinstance(value, list):
        more = f", and {len(value) - 8} more" if len(value) > 8 else ""
        return ", ".join(map(_shown, value[:8])) + more
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)
