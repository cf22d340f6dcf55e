"""`retrain runs [show|note|rename|verify|rm|path]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrain_cli.cli import console
from retrain_cli.cli.completion import run_names
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.grammar import Group, RetrainCommand
from retrain_cli.cli.options import DryRun, JsonForm, RunArgument
from retrain_cli.cli.signatures import command
from retrain_cli.errors import RetrainError, RunError
from retrain_cli.flags import flag_of
from retrain_cli.reports.text import percent

if TYPE_CHECKING:
    from pathlib import PurePath

    from retrain_cli.runs.run import Run, RunStore
    from retrain_cli.runs.verifying import RunCheck

app = typer.Typer(
    cls=Group,
    add_completion=False,
    help="List, show, name, annotate, verify and remove trained runs.",
    invoke_without_command=True,
)


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
        datasets = _datasets(runs)
        columns = ["run", "top-1", "dataset", "backbone", "classes", "optimizer", "steps"]
        rows = [_row(run, datasets) for run in runs]
        columns += ["created", "note"]
        if not any(row[-1] for row in rows):  # most people write none
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        spare = (6, 5, 4, 7)
        more = "--json, or `retrain runs show RUN`"
        console.table(console.Table(columns, rows, right=(1, 4, 6), spare=spare, more=more))


@app.command(cls=RetrainCommand)
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


@app.command(cls=RetrainCommand)
@command
def note(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            help="Name of the run, how it begins, its folder, or latest.", autocompletion=run_names
        ),
    ],
    text: Annotated[
        list[str] | None,
        typer.Argument(help='What to remember about it (default: print the note); "" removes it.'),
    ],
) -> None:
    """Write a note about a run, or print the one that it has."""
    chosen = _store(ctx).get(run)
    if text is None or not len(text):
        if chosen.note:
            console.line(chosen.note)
        else:
            console.note(f"run {chosen.name} has no note")
        return
    chosen.annotate(" ".join(text))
    console.note(f"run {chosen.name}: {chosen.note or 'the note is removed'}")


@app.command(cls=RetrainCommand)
@command
def rename(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(
            help="Name of the run, how it begins, its folder, or latest.", autocompletion=run_names
        ),
    ],
    name: Annotated[str, typer.Argument(help="Its new name, which no other run may have.")],
) -> None:
    """Give a run another name; runs that came from it name it so, too."""
    from retrain_cli.runs.renaming import rename_run

    chosen = _store(ctx).get(run)
    renamed = rename_run(chosen, name)
    console.note(f"run {chosen.name} is called {renamed.name} now")


@app.command(cls=RetrainCommand)
@command
def rm(
    ctx: typer.Context,
    runs: Annotated[
        list[str],
        typer.Argument(
            help="The runs: names, how they begin, folders, or latest.", autocompletion=run_names
        ),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Also a run whose fine-tuned backbone others need.")
    ],
    dry_run: DryRun,
) -> None:
    """Remove runs; bottlenecks stay."""
    from retrain_cli.runs.lent_backbones import check_not_lent

    store = _store(ctx)
    chosen = {store.get(name).folder: None for name in runs}  # all must exist before any goes
    if not force:
        check_not_lent(chosen)
    for folder in chosen:
        if dry_run:
            console.line(f"run {folder.name} would be removed: {folder}")
        else:
            store.remove(str(folder))
            console.note(f"removed run {folder.name}")


@app.command(cls=RetrainCommand)
@command
def verify(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="The runs: names, how they begin, folders, or latest (default: all).",
            autocompletion=run_names,
        ),
    ],
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


@app.command(cls=RetrainCommand)
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
        _ = _row(run, {}), _summary(run)
    except RetrainError as error:
        console.warn(error.worded(flag_of))
        return False
    return True


def _row(run: Run, datasets: dict[PurePath, str]) -> list[str]:
    from retrain_cli.runs.making import Tuned

    config, info = run.config, run.info
    made, top1 = info.provenance.made, _test_top1(run)
    image_dir = info.provenance.image_dir
    return [
        run.name,
        percent(top1),
        datasets.get(image_dir, str(image_dir)),
        " ".join(filter(None, (info.backbone.name, info.backbone.layer))),  # `show` says the rest
        str(len(run.labels)),
        made.tuning.optimizer if isinstance(made, Tuned) else config.optimizer,
        str(info.best_step),
        info.created.replace("T", " ")[:16],
        run.note,
    ]


def _datasets(runs: list[Run]) -> dict[PurePath, str]:
    """The image folders by as much of their ends as tells them apart."""
    folders = {run.info.provenance.image_dir for run in runs}
    shown: dict[PurePath, str] = {}
    for folder in folders:
        ends = ["/".join(folder.parts[-count:]) for count in range(1, len(folder.parts) + 1)]
        others = [f"/{'/'.join(other.parts[1:])}" for other in folders - {folder}]
        alone = (end for end in ends if not any(one.endswith(f"/{end}") for one in others))
        shown[folder] = next(alone, str(folder))
    return shown


def _test_top1(run: Run) -> float | None:
    value = (run.metrics.get("test") or {}).get("top1")
    return None if value is None else float(value)


def _summary(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "note": run.note,
        "metrics": dict(run.metrics),
        **run.info.to_dict(),
        "calibration": run.calibration and run.calibration.to_dict(),
        "classes": list(run.labels),
    }
