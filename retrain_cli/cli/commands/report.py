"""`retrain report [RUN]`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import Described, JsonForm
from retrain_cli.cli.signatures import Fields, command
from retrain_cli.workflows.report import ReportRequest

if TYPE_CHECKING:
    from retrain_cli.workflows.report import ReportFiles

_NOT_WRITTEN = "the report is not finished, and a file of it is there whole or not at all"


@command
def report(
    ctx: typer.Context,
    request: Annotated[
        ReportRequest,
        Fields(
            run=Described("Run to report (default: latest).", is_argument=True, and_option=True),
            split="What is evaluated, as in `eval`.",
            html=Described("The HTML page (default: report-RUN.html here).", "-o"),
            markdown="Write figures and tables as Markdown.",
            pdf="Print the page to a PDF, by an installed Chromium or Chrome.",
            map_method="Map of the photos; tsne needs the extra `map`.",
            mistakes="How many mistakes to show.",
            heatmaps="Whether to show where the run looks; auto: where OpenVINO runs its backbone, "
            "which takes some seconds.",
        ),
    ],
    form: JsonForm,
) -> None:
    """Put everything about a run into one HTML page that needs nothing else.

    Figures, per-class table, confusion, curves, calibration, training, the worst mistakes beside
    the most similar training photos, a map of the photos, data problems, and the commands that
    make it again. With --md or --pdf alone no page is written.
    """
    from retrain_cli.workflows.report import write_report

    workspace = workspace_of(ctx)
    if request.html is request.markdown is request.pdf is None:
        page = Path(f"report-{_name_of(ctx, request.run)}.html")
        request = replace(request, html=page)
    with interrupts.keeping(lambda: _NOT_WRITTEN), console.progress("report") as update:
        done = write_report(
            request, workspace, lambda doing: update(console.Step(0, 0, stage=doing))
        )
    _show(done, form)


def _name_of(ctx: typer.Context, run: str | None) -> str:
    from retrain_cli.runs.run import RunStore

    return RunStore(workspace_of(ctx).runs_dir).get(run).name


def _show(done: ReportFiles, form: console.Form) -> None:
    missing = dict(done.report.missing)
    if form == "json":
        files = [{"path": str(path), "bytes": path.stat().st_size} for path in done.files]
        console.document({"run": done.report.run, "files": files, "missing": missing})
        return
    for name, why in missing.items():
        console.warn(f"left out of the report: {name}: {why}")
    for path in done.files:
        console.line(str(path))
        console.note(
            f"{console.size(path.stat().st_size)}; open it in a browser"
            if path.suffix != ".md"
            else console.size(path.stat().st_size)
        )
