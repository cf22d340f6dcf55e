"""A report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain_cli import __version__
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult
from retrain_cli.reports import text
from retrain_cli.reports.content import LISTED_BEST, LISTED_WORST, Report
from retrain_cli.workspace import write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "page"
MATRIX_CLASSES = 20  # up to here the confusion matrix is a table; above it is drawn
_PAIRS, _SHORTENED_PAIRS = 15, 100  # of classes that are confused; more where no matrix is shown
_CHART_SCRIPT = "chart.umd.min.js"


def write_html(report: Report, path: Path) -> None:
    """Write the page; an existing file is replaced in one step.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    write_atomically(path, render_html(report))


def render_html(report: Report) -> str:
    """The page. Names of classes and files are escaped, whatever they hold."""
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            report=report,
            evaluation=report.evaluation,
            cards=_cards(report),
            figures=_rows(report),
            headlines=figures.HEADLINES,
            class_figures=_class_figures(),
            matrix=_matrix(report),
            n_pairs=_SHORTENED_PAIRS if report.shortened else _PAIRS,
            listed_worst=LISTED_WORST,
            listed_best=LISTED_BEST,
            all_classes=_eval_command(report, "--csv"),
            all_pairs=_eval_command(report, "--confused", "--csv"),
            bins=HISTOGRAM_BINS,
            data=embedded_json(report.data()),
            version=__version__,
            style=_asset("report.css"),
            script=_asset("report.js"),
            library=_asset(_CHART_SCRIPT).partition("\n//# sourceMappingURL")[0],
        )
    )


def embedded_json(value: Any) -> str:
    """JSON that can stand inside `<script>`: pure ASCII, and nothing in it looks like a tag."""
    dumped = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass(frozen=True)
class Card:
    """One of the figures at the top.

    Attributes:
        title: what it is.
        value: the figure.
        detail: its interval, or what else is to say.
        low: lower end of the interval, from 0 to 1, to be drawn; None for no drawing.
        high: upper end.
        share: the figure as a number from 0 to 1.
    """

    title: str
    value: str
    detail: str = ""
    low: float | None = None
    high: float | None = None
    share: float | None = None


def _cards(report: Report) -> list[Card]:
    return [_card(one, report.result) for one in figures.HEADLINES if one.is_card]


def _card(headline: figures.Headline, result: EvalResult) -> Card:
    share = headline.of(result)
    if share is None:
        return Card(headline.title, text.NOT_DEFINED, headline.otherwise)
    value, ends = text.figure(share.to_dict(), "percent")
    detail = f"{ends}, {headline.counted(result)}"
    return Card(headline.title, value, detail, share.low, share.high, share.value)


def _eval_command(report: Report, *flags: str) -> str:
    """The command that tells more of the same evaluation."""
    split = () if report.result.split == "test" else ("--split", report.result.split)
    return shlex.join(("retrain", "eval", report.run, *split, *flags))


def _rows(report: Report) -> dict[str, list[tuple[str, str, str]]]:
    """Title, value and interval of each figure, by the section that shows it."""
    rows: dict[str, list[tuple[str, str, str]]] = {"summary": [], "curves": [], "calibration": []}
    for one in figures.FIGURES:
        value = figures.in_document(report.evaluation, one)
        rows[one.section].append((one.title, *text.figure(value, one.form)))
    return rows


def _class_figures() -> list[figures.ClassFigure]:
    return [one for curves in (False, True) for one in figures.class_columns("html", curves=curves)]


def _plain_value(value: Any) -> float | None:
    """A figure without its interval, to sort by."""
    plain: float | None = value["value"] if isinstance(value, Mapping) else value
    return plain


def _matrix(report: Report) -> list[list[int]] | None:
    """The confusion matrix where it is small enough for a table."""
    if report.result.n_classes > MATRIX_CLASSES:
        return None
    matrix: list[list[int]] = report.result.confusion().tolist()
    return matrix


@cache
def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": text.percent,
        "interval": text.interval,
        "number": text.number,
        "figure": text.figure,
        "plain_value": _plain_value,
        "printable": text.printable,
    }
    return environment
