"""What `retrain eval` prints of scores alone: the surest answers, and what calibration did."""

from __future__ import annotations

from retrain_cli.cli import console
from retrain_cli.evaluation.curves.coverage import CoverageCurve, CoveragePoint
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.workflows.calibrate import CalibrationSummary
from retrain_cli.workflows.evaluate import Evaluation

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
    console.table(console.Table(columns, rows, right=range(1, len(columns)), alike=True))
    console.note("label and eval use these scores now; undo: retrain eval --no-calibrate")


def _log_loss(reliability: Reliability) -> str:
    loss = reliability.log_loss
    return "" if loss is None else f"{loss.value:.4f}"


def _error(reliability: Reliability, form: console.Form) -> str:
    error = reliability.expected_calibration_error
    if error is None:
        return ""
    return f"{error:.6g}" if form == "csv" else f"{error:.1%}"
