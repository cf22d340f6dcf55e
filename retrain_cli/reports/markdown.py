"""A report as Markdown: its figures and tables, for an issue or a repository."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrain_cli import __version__
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.result import HISTOGRAM_BINS
from retrain_cli.reports import text
from retrain_cli.reports.content import LISTED_BEST, LISTED_WORST, Report
from retrain_cli.workspace import write_atomically


def write_markdown(report: Report, path: Path) -> None:
    """Write the report; an existing file is replaced in one step.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    write_atomically(path, render_markdown(report))


def render_markdown(report: Report) -> str:
    """The report as GitHub-flavoured Markdown; names are escaped, whatever they hold."""
    parts = (
        _head(report),
        _figures(report),
        _histogram(report),
        _classes(report),
        _confusions(report),
        _folds(report),
        _mistakes(report),
        _problems(report),
        _setup(report),
    )
    return "\n".join(line for part in parts for line in part)


def _head(report: Report) -> Iterator[str]:
    result = report.result
    yield f"# Report of run {escaped(report.run)}"
    yield ""
    yield (
        f"{result.n_images:,} photos of {result.n_classes:,} classes, {escaped(result.split)} "
        f"split. Backbone {escaped(report.backbone)}. Data {escaped(report.data_folder)}. "
        f"Made {escaped(report.created)}."
    )
    yield ""


def _figures(report: Report) -> Iterator[str]:
    names = ("overall", "macro", "int", "ext")
    columns = ("", "all photos", "mean of classes", "INT classes", "EXT classes")
    rows = [
        [f"top-{top['k']}", *(_with_interval(top[name]) for name in names)]
        for top in report.evaluation["top"]
    ]
    yield from _section("Figures", table(columns, rows))
    yield "Brackets hold 95% confidence intervals."
    yield ""
    others = [
        (one.title, *text.figure(figures.in_document(report.evaluation, one), one.form))
        for one in figures.FIGURES
    ]
    yield from _section("Scores", table(("", "value", "95% CI"), others))


def _with_interval(estimate: Mapping[str, float] | None) -> str:
    if estimate is None:
        return text.NOT_DEFINED
    return f"{text.percent(estimate['value'])} ({text.interval(estimate)})"


def _histogram(report: Report) -> Iterator[str]:
    histogram = report.result.histogram
    rows = zip(
        HISTOGRAM_BINS, histogram.all, histogram.int_classes, histogram.ext_classes, strict=True
    )
    columns = ("top-1 of the class", "classes", "INT", "EXT")
    yield from _section("Classes by accuracy", table(columns, rows))


def _classes(report: Report) -> Iterator[str]:
    shown = figures.class_columns("html", curves=False)
    names = ("class", "INT/EXT", "photos", "top-1", "top-5", *(one.title for one in shown))
    columns = (*names, "most often taken for", "times")
    rows = [
        (
            row["class"],
            row["origin"] or text.NOT_DEFINED,
            row["images"],
            text.percent(row["top1"]),
            text.percent(row["top5"]),
            *(text.figure(row[one.name], one.form)[0] for one in shown),
            row["confused_with"] or "",
            row["confused_count"] or "",
        )
        for row in report.listed_classes
    ]
    title = "Classes, worst first"
    if report.shortened:
        n_classes = report.result.n_classes
        title = f"The {LISTED_WORST:,} worst and the {LISTED_BEST:,} best of {n_classes:,} classes"
    yield from _section(title, table(columns, rows))


def _confusions(report: Report) -> Iterator[str]:
    pairs = report.evaluation["confused_pairs"][:20]
    rows = [(pair["true"], pair["predicted"], pair["count"], pair["n_images"]) for pair in pairs]
    if rows:
        columns = ("true class", "taken for", "times", "of photos")
        yield from _section("Most confused", table(columns, rows))


def _folds(report: Report) -> Iterator[str]:
    folds = report.cross_validation
    if folds is None:
        return
    rows = [
        (
            one.title,
            text.percent(folds[one.name]["mean"]),
            text.percent(folds[one.name]["sd"]),
            text.interval(folds[one.name]),
        )
        for one in figures.HEADLINES
        if folds.get(one.name)
    ]
    title = f"Cross-validation, {folds['finished_folds']} folds"
    yield from _section(title, table(("", "mean", "sd", folds["interval"]), rows))


def _mistakes(report: Report) -> Iterator[str]:
    rows = [
        (m.photo.path, m.photo.class_name, m.predicted, text.percent(m.score))
        for m in report.mistakes
    ]
    if rows:
        title = f"Worst mistakes: {len(rows)} of {report.n_mistakes}"
        yield from _section(title, table(("photo", "true class", "taken for", "score"), rows))


def _problems(report: Report) -> Iterator[str]:
    lines: list[str] = []
    for problem in report.problems or ():
        lines.append(f"- **{problem.count} {escaped(problem.title)}.** {escaped(problem.advice)}")
        lines += [f"  - {escaped(item)}" for item in problem.items]
    lines = lines or ["None was found."]
    if why := report.missing.get("near duplicates"):
        lines += ["", f"A full list of near duplicates is missing: {escaped(why)}."]
    yield from _section("Data problems", lines)


def _setup(report: Report) -> Iterator[str]:
    for settings in report.settings:
        yield from _section(settings.title, table(("setting", "value"), settings.rows))
    fence = "```"
    lines = [f"{fence}sh", *(command.text for command in report.commands), fence]
    yield from _section("To make it again", lines)
    yield f"Made by retrain {__version__}."
    yield ""


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield from lines
    yield ""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A table; every cell is escaped."""
    yield "| " + " | ".join(map(escaped, columns)) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(escaped(str(cell)) for cell in row) + " |"


def escaped(name: str) -> str:
    """Text in which Markdown and HTML see no markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", text.printable(name))
