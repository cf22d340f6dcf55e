"""How an evaluation looks: figures, per-class table, histogram; as text, CSV or JSON."""

from __future__ import annotations

import sys

from retrain_cli.cli import console
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.curves.class_curves import Curves
from retrain_cli.evaluation.curves.coverage import CoverageCurve, CoveragePoint
from retrain_cli.evaluation.few_photos import few_test_photos
from retrain_cli.evaluation.figures import Form, Measured, Place, Value
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult
from retrain_cli.evaluation.two_classes import TwoClassTable
from retrain_cli.reports import text
from retrain_cli.reports.text import NOT_DEFINED
from retrain_cli.workflows.calibrate import CalibrationSummary
from retrain_cli.workflows.evaluate import Evaluation

_BAR_WIDTH = 40
_MOST_ROWS = 200
_FEW_SCORES = 10_000_000
"""Curves of more scores than this take a while; the readable output leaves them out."""
_GAP_TO_MENTION = 0.05


def prepare(evaluation: Evaluation, form: console.Form) -> None:
    """Compute what takes time, while progress is shown."""
    if form != "text" or evaluation.n_scores <= _FEW_SCORES:
        _ = evaluation.curves_or_reason


def show_evaluation(evaluation: Evaluation, form: console.Form) -> None:
    """The figures, the per-class table, the histogram."""
    result = evaluation.result
    if form == "json":
        console.document(evaluation.to_dict())
    elif form == "csv":
        _show_csv(evaluation)
    else:
        console.styled(_headline(evaluation))
        console.table(_figures(result))
        console.table(_averages(result))
        if evaluation.two_classes:
            _show_two_classes(evaluation.two_classes)
        console.table(_scores(evaluation))
        _show_classes(result)
        _show_histogram(result)
        _advise(evaluation)


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


def _averages(result: EvalResult) -> console.Table:
    """Averages of precision, recall and F1; micro is top-1 in all three."""
    interval = "95% CI"
    columns = ("average", "precision", interval, "recall", interval, "F1", interval)
    rows = [
        [name, *(cell for part in vars(average).values() for cell in _share_and_interval(part))]
        for name, average in vars(result.averages).items()
    ]
    return console.Table(columns, rows, right=range(1, 7))


def _show_two_classes(table: TwoClassTable) -> None:
    rows = [
        [f"true {table.positive}", str(table.tp), str(table.fn)],
        [f"true {table.negative}", str(table.fp), str(table.tn)],
    ]
    columns = (f"positive: {table.positive}", f"as {table.positive}", f"as {table.negative}")
    console.table(console.Table(columns, rows, right=(1, 2)))
    rows = [
        [name.replace("_", " "), *_share_and_interval(share)]
        for name, share in table.shares.items()
    ]
    console.table(console.Table(("", "", "95% CI"), rows, right=(1, 2)))


def _curves(evaluation: Evaluation) -> Curves | None:
    """The curves; None where the scores for them are missing."""
    found = evaluation.curves_or_reason
    if isinstance(found, Curves):
        return found
    console.note(f"no ROC or precision-recall curves: {found}")
    return None


def _scores(evaluation: Evaluation) -> console.Table:
    """What the scores are worth: areas under curves, log loss, calibration, and what else is."""
    rows: list[list[str]] = []
    curves = None
    if evaluation.n_scores > _FEW_SCORES:
        rows.append(["ROC AUC: many scores, see --json or --chart roc", NOT_DEFINED, ""])
    else:
        curves = _curves(evaluation)
    measured = Measured(evaluation.result, curves)
    for figure in figures.FIGURES:
        if figure.section != "curves" or curves:
            value = figures.json_value(figure.of(measured))
            rows.append([figure.title, *text.figure(value, figure.form, "-")])
    calibration = evaluation.run.calibration
    kind = f"calibrated, temperature {calibration.temperature:.3f}" if calibration else "as trained"
    return console.Table((f"scores ({kind})", "", "95% CI"), rows, right=(1, 2))


def _advise(evaluation: Evaluation) -> None:
    """Say in words what is not to be trusted, and what to do about it."""
    if evaluation.request.split == "test":
        few = few_test_photos(evaluation.result)
        if few is not None:
            console.note(few)
    reliability = evaluation.result.reliability
    if reliability is None or evaluation.run.calibration or not reliability.total:
        return
    gap = float(reliability.confidence.sum() - reliability.right.sum()) / reliability.total
    if abs(gap) >= _GAP_TO_MENTION:
        word = "high" if gap > 0 else "low"
        console.note(
            f"scores are {abs(gap) * 100:.0f} points too {word} on average: "
            "`retrain eval --calibrate` mends that"
        )


def _show_csv(evaluation: Evaluation) -> None:
    result, curves = evaluation.result, _curves(evaluation)
    measured = Measured(result, curves)
    areas = figures.class_columns("csv", curves=True)
    columns = [*_class_columns(result, "csv"), *(one.title for one in areas)]
    rows = _class_rows(measured, "csv")
    for cells, row in zip(rows, result.classes, strict=True):
        cells += [_cell(one.of(measured, row), one.form, "csv") for one in areas]
    console.csv_table(columns, rows)


def _cell(value: Value, form: Form, place: Place) -> str:
    """A figure in a table of classes: all its digits for programs, few for people."""
    if place != "csv":
        return text.figure(figures.json_value(value), form)[0]
    number = value.value if isinstance(value, Estimate) else value
    return "" if number is None else f"{number:.6g}"


def _share_and_interval(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return (NOT_DEFINED, "")
    return (f"{estimate.value:.1%}", f"{100 * estimate.low:.1f}-{estimate.high:.1%}")


def _class_columns(result: EvalResult, place: Place) -> list[str]:
    return [
        "class",
        "INT/EXT",
        "images",
        *(f"top-{k}" for k in result.ks),
        *(one.title for one in figures.class_columns(place, curves=False)),
        "most often taken for",
        "times",
    ]


def _class_rows(measured: Measured, place: Place) -> list[list[str]]:
    shown = figures.class_columns(place, curves=False)
    return [
        [
            row.class_name,
            row.origin or NOT_DEFINED,
            str(row.n_images),
            *(_cell(value, "percent", place) for value in row.top),
            *(_cell(one.of(measured, row), one.form, place) for one in shown),
            row.confused_with or "",
            str(row.confused_count or ""),
        ]
        for row in measured.result.classes
    ]


def _show_classes(result: EvalResult) -> None:
    """The per-class table; on a terminal the worst classes only, where there are very many."""
    columns = _class_columns(result, "text")
    rows = _class_rows(Measured(result), "text")
    numeric = (*range(2, len(columns) - 2), len(columns) - 1)
    shown = rows[:_MOST_ROWS] if sys.stdout.isatty() else rows
    console.table(console.Table(columns, shown, right=numeric))
    if len(shown) < len(rows):
        console.note(f"and {len(rows) - len(shown):,} better classes: --csv prints them all")


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


_COLUMNS = ("answered", "images", "score at least", "accuracy", "95% CI")


def show_coverage(evaluation: Evaluation, form: console.Form) -> None:
    """The curve of a run: text, CSV or JSON."""
    curve = evaluation.coverage()
    if form == "json":
        console.document({"run": evaluation.run.name, **curve.to_dict()})
    elif form == "csv":
        console.line("coverage,images,least_score,accuracy,low,high")
        for point in curve.points:
            console.line(_csv_line(point))
    else:
        console.table(console.Table(_COLUMNS, _rows(curve), right=range(5)))
        if curve.risk_area is not None:
            console.note(f"mean error over all coverages: {curve.risk_area:.2%}")


def _rows(curve: CoverageCurve) -> list[list[str]]:
    return [
        [
            f"{point.coverage:.0%}",
            str(point.n_images),
            f"{point.least_score:.3f}",
            f"{point.accuracy.value:.1%}",
            f"{100 * point.accuracy.low:.1f}-{point.accuracy.high:.1%}",
        ]
        for point in curve.points
        if point.accuracy is not None
    ]


def _csv_line(point: CoveragePoint) -> str:
    parts = [point.coverage, point.n_images, point.least_score]
    if point.accuracy is not None:
        parts += [point.accuracy.value, point.accuracy.low, point.accuracy.high]
    return ",".join(f"{part:.6g}" for part in parts)


def show_calibration(summary: CalibrationSummary, form: console.Form) -> None:
    """Log loss and calibration error before and after, on validation and test."""
    if form == "json":
        console.document(summary.to_dict())
        return
    columns = (
        "split",
        "images",
        "log loss before",
        "after",
        "calibration error before",
        "after",
    )
    rows = [
        [
            effect.split,
            str(effect.before.total),
            *(_log_loss(part) for part in (effect.before, effect.after)),
            *(_error(part, form) for part in (effect.before, effect.after)),
        ]
        for effect in summary.effects
    ]
    if form == "csv":
        console.csv_table(columns, rows)
        return
    console.styled(
        f"[bold]run {summary.run.name}[/] calibrated on {summary.calibration.n_images:,} "
        f"validation images: temperature {summary.calibration.temperature:.3f}"
    )
    console.table(console.Table(columns, rows, right=range(1, len(columns))))
    console.note("label and eval use these scores now; undo: retrain eval --no-calibrate")


def _log_loss(reliability: Reliability) -> str:
    loss = reliability.log_loss
    return "" if loss is None else f"{loss.value:.4f}"


def _error(reliability: Reliability, form: console.Form) -> str:
    error = reliability.expected_calibration_error
    if error is None:
        return ""
    return f"{error:.6g}" if form == "csv" else f"{error:.1%}"
