"""`retrain report [RUN]`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrain_cli import interrupts
from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.errors import ConfigError

if TYPE_CHECKING:
    from retrain_cli.workflows.report import ReportFiles

_NOT_WRITTEN = "the report is not finished, and a file of it is there whole or not at all"


def report(
    ctx: typer.Context,
    run: Annotated[str | None, typer.Argument(help="Run to report (default: the latest).")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The HTML page (default: report-RUN.html here)."),
    ] = None,
    md: Annotated[
        Path | None, typer.Option("--md", help="Write figures and tables as Markdown.")
    ] = None,
    pdf: Annotated[
        Path | None,
        typer.Option("--pdf", help="Print the page to a PDF, by an installed Chromium or Chrome."),
    ] = None,
    split: Annotated[
        str, typer.Option(help="training, validation, test, all or cv, as in `eval`.")
    ] = "test",
    map_method: Annotated[
        str,
        typer.Option("--map", help="Map of the photos: pca, tsne (needs the extra `map`) or none."),
    ] = "pca",
    mistakes: Annotated[int, typer.Option(help="How many mistakes to show.")] = 24,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Put everything about a run into one HTML page that needs nothing else.

    Figures, per-class table, confusion, curves, calibration, training, the worst mistakes beside
    the most similar training photos, a map of the photos, data problems, and the commands that
    make it again. With --md or --pdf alone no page is written.
    """
    from retrain_cli.workflows.report import ReportRequest, write_report

    workspace = workspace_of(ctx)
    html = output
    if html is None and md is None and pdf is None:
        html = Path(f"report-{_name_of(ctx, run)}.html")
    _check_suffixes(html, md, pdf)
    request = ReportRequest(run, split, html, md, pdf, map_method, mistakes)
    with interrupts.keeping(lambda: _NOT_WRITTEN), console.progress("report") as update:
        done = write_report(request, workspace, lambda doing: update(console.Step(0, 1, doing)))
    _show(done, json)


def _name_of(ctx: typer.Context, run: str | None) -> str:
    from retrain_cli.runs.run import RunStore

    return RunStore(workspace_of(ctx).runs_dir).get(run).name


def _check_suffixes(html: Path | None, md: Path | None, pdf: Path | None) -> None:
    wanted = (("-o", html, (".html", ".htm")), ("--md", md, (".md",)), ("--pdf", pdf, (".pdf",)))
    for flag, path, suffixes in wanted:
        if path is not None and path.suffix.lower() not in suffixes:
            raise ConfigError(f"{flag} takes a file ending in {suffixes[0]}, not {path.name!r}")


def _show(done: ReportFiles, json: bool) -> None:
    missing = dict(done.report.missing)
    if json:
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
