"""How an evaluation looks: figures, per-class table, histogram; as text, CSV or JSON."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from retrain_cli.cli import console
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult
from retrain_cli.workflows.evaluate import Evaluation

_BAR_WIDTH = 40
_NOT_DEFINED = "n/a"


def show_evaluation(evaluation: Evaluation, form: str) -> None:
    """The figures, the per-class table, the histogram."""
    result = evaluation.result
    if form == "json":
        console.document(evaluation.to_dict())
    elif form == "csv":
        _write_csv(_class_columns(result), _class_rows(result, _plain_share))
    else:
        console.styled(_headline(evaluation))
        console.table(_figures(result))
        console.table(_class_table(result))
        _show_histogram(result)


def show_confusion(evaluation: Evaluation, form: str) -> None:
    """The confusion matrix: a row for each true class, a column for each predicted one."""
    names = evaluation.result.class_names
    matrix = evaluation.result.confusion().tolist()
    if form == "json":
        console.document({"run": evaluation.run.name, "classes": names, "confusion": matrix})
        return
    rows = [[name, *map(str, counts)] for name, counts in zip(names, matrix, strict=True)]
    if form == "csv":
        _write_csv(["true", *names], rows)
        return
    header = [str(number) for number in range(1, len(names) + 1)]
    numbered = [
        [f"{number} {row[0]}", *("·" if cell == "0" else cell for cell in row[1:])]
        for number, row in enumerate(rows, start=1)
    ]
    columns = ["true \\ predicted", *header]
    console.table(console.Table(columns, numbered, right=range(1, len(columns))))


def show_misclassified(evaluation: Evaluation, form: str) -> None:
    """The mistakes, the surest first; bare tab-separated lines in a pipe."""
    columns = ("path", "true", "predicted", "score")
    mistakes = evaluation.misclassified()
    if form == "json":
        console.document([vars(mistake) for mistake in mistakes])
        return
    rows = [[m.path, m.true, m.predicted, f"{m.score:.4f}"] for m in mistakes]
    if form == "csv":
        _write_csv(columns, rows)
    elif sys.stdout.isatty():
        console.table(console.Table(columns, rows, right=(3,)))
    else:
        for row in rows:
            console.line("\t".join(row))


def _headline(evaluation: Evaluation) -> str:
    result = evaluation.result
    known = result.n_int_classes + result.n_ext_classes
    split = f" ({result.n_int_classes} INT, {result.n_ext_classes} EXT)" if known else ""
    empty = f", {result.n_empty_classes} of them without images" if result.n_empty_classes else ""
    return (
        f"[bold]run {evaluation.run.name}[/] on {result.split}: {result.n_images:,} images of "
        f"{result.n_classes} classes{split}{empty}"
    )


def _figures(result: EvalResult) -> console.Table:
    interval = "95% CI"
    columns = ("", "all", interval, "INT", interval, "EXT", interval)
    rows = [
        [
            f"top-{top.k}",
            *_share_and_interval(top.overall),
            *_share_and_interval(top.int_macro),
            *_share_and_interval(top.ext_macro),
        ]
        for top in result.top
    ]
    return console.Table(columns, rows, right=range(1, 7))


def _share_and_interval(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return (_NOT_DEFINED, "")
    return (f"{estimate.value:.1%}", f"{100 * estimate.low:.1f}-{estimate.high:.1%}")


def _class_columns(result: EvalResult) -> list[str]:
    shares = [f"top-{k}" for k in result.ks]
    return ["class", "INT/EXT", "images", *shares, "most often taken for", "times"]


def _class_rows(result: EvalResult, share: Any) -> list[list[str]]:
    return [
        [
            row.class_name,
            row.origin or _NOT_DEFINED,
            str(row.n_images),
            *(share(value) for value in row.top),
            row.confused_with or "",
            str(row.confused_count or ""),
        ]
        for row in result.classes
    ]


def _class_table(result: EvalResult) -> console.Table:
    columns = _class_columns(result)
    numeric = (*range(2, 3 + len(result.ks)), len(columns) - 1)
    return console.Table(columns, _class_rows(result, _percent), right=numeric)


def _percent(value: float | None) -> str:
    return _NOT_DEFINED if value is None else f"{value:.1%}"


def _plain_share(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _show_histogram(result: EvalResult) -> None:
    """Bars of the number of classes in each bin, INT and EXT in two shades where known."""
    histogram = result.histogram
    known = any(histogram.int_classes) or any(histogram.ext_classes)
    legend = " ([blue]█[/] INT, [yellow]▒[/] EXT)" if known else ""
    console.styled(f"[bold]classes by top-1 accuracy[/]{legend}")
    longest = max(*histogram.all, 1)
    bins = zip(
        HISTOGRAM_BINS,
        histogram.all,
        histogram.int_classes,
        histogram.ext_classes,
        strict=True,
    )
    for name, count, internal, external in bins:
        first, second = (internal, external) if known else (count, 0)
        bar = _bar(first, second, longest)
        console.styled(f"{name:>8} {bar} {count}")


def _bar(first: int, second: int, longest: int) -> str:
    end = round((first + second) / longest * _BAR_WIDTH)
    middle = round(first / longest * _BAR_WIDTH)
    return f"[blue]{'█' * middle}[/][yellow]{'▒' * (end - middle)}[/]"


def _write_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    console.line(text.getvalue(), end="")
