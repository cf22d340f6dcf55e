"""The classes of an evaluation: a row for each, and how many reach which accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrain_cli.cli import console
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.figures import Form, Measured, Place, Value
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult
from retrain_cli.reports import text
from retrain_cli.reports.text import NOT_DEFINED

_BAR_WIDTH = 40
_Bin = tuple[str, int, int, int]
"""Name, and how many classes: all, INT, EXT."""


def class_columns(result: EvalResult, place: Place) -> list[str]:
    """The headings of the table of classes, without those that need curves."""
    return [
        "class",
        "INT/EXT",
        "images",
        *(f"top-{k}" for k in result.ks),
        *(one.title for one in figures.class_columns(place, curves=False)),
        "most often taken for",
        "times",
    ]


def class_rows(measured: Measured, place: Place) -> list[list[str]]:
    """A row for each class, the worst first."""
    shown = figures.class_columns(place, curves=False)
    return [
        [
            row.class_name,
            row.origin or NOT_DEFINED,
            str(row.n_images),
            *(cell(value, "percent", place) for value in row.top),
            *(cell(one.of(measured, row), one.form, place) for one in shown),
            row.confused_with or "",
            str(row.confused_count or ""),
        ]
        for row in measured.result.classes
    ]


def cell(value: Value, form: Form, place: Place) -> str:
    """A figure in a table of classes: all its digits for programs, few for people."""
    if place != "csv":
        return text.figure(figures.json_value(value), form)[0]
    number = value.value if isinstance(value, Estimate) else value
    return "" if number is None else f"{number:.6g}"


def class_table(result: EvalResult, rows: Sequence[Sequence[str]]) -> console.Table:
    """Rows of the table of classes for people."""
    columns = class_columns(result, "text")
    last = len(columns) - 1
    return console.Table(
        columns,
        rows,
        right=(*range(2, last - 1), last),
        short={last - 1: "taken for"},
        spare=[last, *range(last - 2, 3, -1)],
        more="--csv has all columns",
    )


def show_classes(result: EvalResult) -> None:
    """The table of classes; on a terminal the worst classes only, where there are very many."""
    rows = class_rows(Measured(result), "text")
    console.listing(class_table(result, rows), "--csv prints all", _better)


def show_worst_classes(result: EvalResult, most_lines: int) -> None:
    """As many of the worst classes as fit into so many lines."""
    rows = class_rows(Measured(result), "text")
    shown = rows[:most_lines]
    while len(shown) > 1 and console.table_height(class_table(result, shown)) > most_lines:
        shown = shown[:-1]
    console.table(class_table(result, shown))
    left = len(rows) - len(shown)
    others = _better(left) if left else "averages"
    console.note(f"{others}, intervals, areas under curves, a histogram: --full")


def _better(count: int) -> str:
    return f"{count:,} better class{'' if count == 1 else 'es'}"


def show_histogram(result: EvalResult) -> None:
    """Bars of the number of classes in each bin, INT and EXT in two shades where known."""
    histogram = result.histogram
    known = any(histogram.int_classes) or any(histogram.ext_classes)
    legend = " ([blue]█[/] INT, [yellow]▒[/] EXT)" if known else ""
    console.styled(f"[bold]classes by top-1 accuracy[/]{legend}")
    counts = (histogram.all, histogram.int_classes, histogram.ext_classes)
    longest = max(*histogram.all, 1)
    for name, count, internal, external in _joined_bins(zip(HISTOGRAM_BINS, *counts, strict=True)):
        first, second = (internal, external) if known else (count, 0)
        console.styled(f"{name:>8} {_bar(first, second, longest)} {count}")


def _joined_bins(bins: Iterator[_Bin]) -> Iterator[_Bin]:
    """The bins, with neighbours that are empty as one."""
    empty: list[str] = []
    for one in bins:
        if one[1]:
            yield from _as_one(empty)
            empty = []
            yield one
        else:
            empty.append(one[0])
    yield from _as_one(empty)


def _as_one(names: Sequence[str]) -> Iterator[_Bin]:
    if names:
        start = names[0].removesuffix("%").split("-")[0]
        end = names[-1].split("-")[-1]
        yield (names[0] if len(names) == 1 else f"{start}-{end}", 0, 0, 0)


def _bar(first: int, second: int, longest: int) -> str:
    end = round((first + second) / longest * _BAR_WIDTH)
    middle = round(first / longest * _BAR_WIDTH)
    return f"[blue]{'█' * middle}[/][yellow]{'▒' * (end - middle)}[/]"
