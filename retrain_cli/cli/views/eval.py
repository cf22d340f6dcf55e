"""How an evaluation looks: a screenful, all of it, CSV or JSON."""

from __future__ import annotations

from retrain_cli.cli import console
from retrain_cli.cli.views.eval_classes import (
    cell,
    class_columns,
    class_rows,
    show_classes,
    show_histogram,
    show_worst_classes,
)
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.curves.class_curves import Curves
from retrain_cli.evaluation.figures import Measured
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.result import EvalResult, TopK
from retrain_cli.evaluation.two_classes import TwoClassTable
from retrain_cli.reports import text
from retrain_cli.reports.few_photos import warn_of_small_tests
from retrain_cli.reports.text import NOT_DEFINED
from retrain_cli.workflows.evaluate import Evaluation

_FEW_SCORES = 10_000_000
"""Curves of more scores than this take a while; the readable output leaves them out."""
_GAP_TO_MENTION = 0.05
_SCREEN_LINES = 21
"""The lines of a terminal of 24 but for the command, the prompt, and a line of advice."""


def prepare(evaluation: Evaluation, form: console.Form, *, full: bool) -> None:
    """Compute what takes time, while progress is shown."""
    if form != "text" or (full and evaluation.n_scores <= _FEW_SCORES):
        _ = evaluation.curves_or_reason


def show_evaluation(evaluation: Evaluation, form: console.Form, *, full: bool) -> None:
    """The figures and the worst classes on a screen; with `full` all there is."""
    if form == "json":
        console.document(evaluation.to_dict())
    elif form == "csv":
        _show_csv(evaluation)
    else:
        console.styled(_headline(evaluation))
        (_show_full if full else _show_short)(evaluation)
        _advise(evaluation)


def _show_short(evaluation: Evaluation) -> None:
    result, accuracies = evaluation.result, _accuracies(evaluation.result)
    console.table(accuracies)
    compared = _show_difference(result)
    if evaluation.two_classes:
        console.table(_two_by_two(evaluation.two_classes))
        for name, share in evaluation.two_classes.shares.items():
            value, interval = _share_and_interval(share)
            ends = f" (95% CI {interval})" if interval else ""
            console.line(f"{name.replace('_', ' ')} {value}{ends}")
        console.note("averages, scores, areas under curves, a histogram: --full")
        return
    scores = _scores_in_words(evaluation)
    console.line(scores)
    used = 1 + console.table_height(accuracies) + compared + 1 + 1
    show_worst_classes(result, _SCREEN_LINES - used)


def _show_full(evaluation: Evaluation) -> None:
    result = evaluation.result
    console.table(_accuracies(result))
    _show_difference(result)
    console.table(_averages(result))
    if evaluation.two_classes:
        _show_two_classes(evaluation.two_classes)
    console.table(_scores(evaluation))
    show_classes(result)
    show_histogram(result)


def _headline(evaluation: Evaluation) -> str:
    from rich.markup import escape

    result = evaluation.result
    known = result.n_int_classes + result.n_ext_classes
    split = f" ({result.n_int_classes} INT, {result.n_ext_classes} EXT)" if known else ""
    empty = f", {result.n_empty_classes} of them without images" if result.n_empty_classes else ""
    views = evaluation.request.views
    asked = f", the mean over each and {views} view{'s' * (views > 1)} of it" if views else ""
    return (
        f"[bold]run {escape(text.printable(evaluation.run.name))}[/] on {result.split}: "
        f"{result.n_images:,} images of {result.n_classes:,} classes{split}{empty}{asked}"
    )


def _accuracies(result: EvalResult) -> console.Table:
    """A row for each kind of mean, and a column for each k."""
    columns = ["", *(name for top in result.top for name in (f"top-{top.k}", "95% CI"))]
    rows = [
        [title, *(part for top in result.top for part in _share_and_interval(_of(top, name)))]
        for name, title in _means(result)
    ]
    return console.Table(columns, rows, right=range(1, len(columns)), alike=True)


def _show_difference(result: EvalResult) -> int:
    """INT against EXT classes, in one line where there are both; how many lines that were."""
    found = result.int_ext_difference
    if found is None:
        return 0
    points = [100 * one for one in (found.difference.low, found.difference.high)]
    console.line(
        f"INT - EXT {100 * found.difference.value:+.1f} points, over classes "
        f"{points[0]:+.1f} to {points[1]:+.1f} (95% CI), p {_p_value(found.p_value)}"
    )
    return 1


def _p_value(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.2g}"


def _means(result: EvalResult) -> list[tuple[str, str]]:
    """The fields of `TopK`, and what each is a mean of."""
    means = [
        ("overall", f"share of {result.n_images:,} photos"),
        ("macro", f"mean of {result.n_classes - result.n_empty_classes:,} classes"),
    ]
    if result.n_int_classes or result.n_ext_classes:
        means += [
            ("int_macro", f"mean of {result.n_int_classes:,} INT classes"),
            ("ext_macro", f"mean of {result.n_ext_classes:,} EXT classes"),
        ]
    return means


def _of(top: TopK, name: str) -> Estimate | None:
    found: Estimate | None = getattr(top, name)
    return found


def _averages(result: EvalResult) -> console.Table:
    """Averages of precision, recall and F1; micro is top-1 in all three."""
    interval = "95% CI"
    columns = ("average", "precision", interval, "recall", interval, "F1", interval)
    rows = [
        [name, *(part for mean in vars(average).values() for part in _share_and_interval(mean))]
        for name, average in vars(result.averages).items()
    ]
    return console.Table(columns, rows, right=range(1, 7), alike=True)


def _two_by_two(table: TwoClassTable) -> console.Table:
    rows = [
        [f"true {table.positive}", str(table.tp), str(table.fn)],
        [f"true {table.negative}", str(table.fp), str(table.tn)],
    ]
    columns = (f"positive: {table.positive}", f"as {table.positive}", f"as {table.negative}")
    return console.Table(columns, rows, right=(1, 2))


def _show_two_classes(table: TwoClassTable) -> None:
    console.table(_two_by_two(table))
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


def _kind_of_scores(evaluation: Evaluation) -> str:
    if calibration := evaluation.run.calibration:
        return f"calibrated, temperature {calibration.temperature:.3f}"
    return "fitted when trained" if _are_fitted(evaluation) else "as trained"


def _are_fitted(evaluation: Evaluation) -> bool:
    """Whether there is no more to be done about the scores of the run."""
    fit = evaluation.run.provenance.fit
    return evaluation.run.calibration is not None or (fit is not None and fit.images > 0)


def _scores_in_words(evaluation: Evaluation) -> str:
    """Those figures of scores that need no curves, in one line."""
    measured = Measured(evaluation.result)
    parts = [
        f"{one.title} {text.figure(figures.json_value(one.of(measured)), one.form)[0]}"
        for one in figures.FIGURES
        if one.section == "calibration"
    ]
    kind = _kind_of_scores(evaluation).partition(",")[0]
    return f"scores, {kind}: {', '.join(parts)}"


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
    columns = (f"scores ({_kind_of_scores(evaluation)})", "", "95% CI")
    return console.Table(columns, rows, right=(1, 2), prose=(0,))


def _advise(evaluation: Evaluation) -> None:
    """Say in words what is not to be trusted, and what to do about it."""
    if evaluation.request.split == "test":
        counts = {row.class_name: row.n_images for row in evaluation.result.classes}
        for warning in warn_of_small_tests(counts):
            console.note(warning)
        if leaked := evaluation.n_leaked:
            console.warn(
                f"{leaked} of {evaluation.result.n_images:,} test photos have a copy or near "
                "duplicate in training or validation, which flatters: `retrain bottlenecks "
                "IMAGE_DIR --group near-duplicates`, then train again"
            )
    reliability = evaluation.result.reliability
    if reliability is None or not reliability.total or _are_fitted(evaluation):
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
    columns = [*class_columns(result, "csv"), *(one.title for one in areas)]
    rows = class_rows(measured, "csv")
    for cells, row in zip(rows, result.classes, strict=True):
        cells += [cell(one.of(measured, row), one.form, "csv") for one in areas]
    console.csv_table(columns, rows)


def _share_and_interval(estimate: Estimate | None) -> tuple[str, str]:
    if estimate is None:
        return (NOT_DEFINED, "")
    return (f"{estimate.value:.1%}", f"{100 * estimate.low:.1f}-{estimate.high:.1%}")
