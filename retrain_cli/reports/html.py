"""A report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain_cli import __version__
from retrain_cli.evaluation.result import HISTOGRAM_BINS
from retrain_cli.reports import text
from retrain_cli.reports.content import Report
from retrain_cli.workspace import write_atomically

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "page"
MATRIX_CLASSES = 20  # up to here the confusion matrix is a table; above it is drawn
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
            matrix=_matrix(report),
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
    top1, top5 = report.evaluation["top"]
    result = report.result
    photos = f"of {result.n_images:,} photos"
    n_int, n_ext = (f"mean of {n} classes" for n in (result.n_int_classes, result.n_ext_classes))
    return [
        _share_card("Top-1", top1["overall"], photos),
        _share_card("Top-5", top5["overall"], photos, "needs more classes"),
        _share_card("INT top-1", top1["int"], n_int, "no such class"),
        _share_card("EXT top-1", top1["ext"], n_ext, "no such class"),
    ]


def _share_card(
    title: str, estimate: Mapping[str, float] | None, of: str, otherwise: str = ""
) -> Card:
    if estimate is None:
        return Card(title, text.NOT_DEFINED, otherwise)
    ends = text.interval(estimate)
    share, low, high = (estimate[name] for name in ("value", "low", "high"))
    return Card(title, text.percent(share), f"{ends}, {of}", low, high, share)


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
        "printable": text.printable,
    }
    return environment
