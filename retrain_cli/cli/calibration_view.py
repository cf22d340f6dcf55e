"""How a calibration looks: the figures before and after."""

from __future__ import annotations

from retrain_cli.cli import console, tables
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.workflows.calibrate import CalibrationSummary


def show_calibration(summary: CalibrationSummary, form: str) -> None:
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
        tables.csv_table(columns, rows)
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


def _error(reliability: Reliability, form: str) -> str:
    error = reliability.expected_calibration_error
    if error is None:
        return ""
    return f"{error:.6g}" if form == "csv" else f"{error:.1%}"
