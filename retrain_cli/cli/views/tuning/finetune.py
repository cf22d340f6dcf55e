"""How a fine-tuning looks: the table of its epochs, its end, its plan, its curves."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from retrain_cli.cli import console
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.reports.text import NOT_DEFINED, percent

if TYPE_CHECKING:
    from retrain_cli.evaluation.result import EvalResult
    from retrain_cli.finetuning.tuning import TuningProgress
    from retrain_cli.heads.history import HistoryRow
    from retrain_cli.workflows.tuning.finetune_summary import FinetuneSummary
    from retrain_cli.workflows.tuning.tuning_plan import FinetunePlan

_COLUMNS = ("epoch", "loss", "training", "validation loss", "validation")


class EpochTable:
    """The epochs as they end, a line each, on standard error."""

    def __init__(self) -> None:
        self._has_begun = False

    def add(self, progress: TuningProgress) -> None:
        """Tell of an epoch that has ended."""
        if not self._has_begun:
            console.note("  ".join(_COLUMNS))
            self._has_begun = True
        assert progress.row is not None
        cells = (str(progress.epoch), *_figures(progress.row))
        line = "  ".join(
            cell.rjust(len(title)) for cell, title in zip(cells, _COLUMNS, strict=True)
        )
        judged = progress.row.validation_loss is not None
        console.note(f"{line}{'  best' if progress.is_best and judged else ''}")


def _figures(row: HistoryRow) -> tuple[str, ...]:
    loss = NOT_DEFINED if row.validation_loss is None else f"{row.validation_loss:.3f}"
    return (
        f"{row.loss:.3f}",
        percent(row.training_accuracy),
        loss,
        percent(row.validation_accuracy),
    )


def show_summary(summary: FinetuneSummary, form: console.Form) -> None:
    """What came of it."""
    if form == "json":
        console.document(summary.to_dict())
        return
    console.line(f"run {summary.run.name}: {_verdict(summary)}")
    for split, before in summary.before.items():
        if before is not None:
            now = f", {_top1(summary.kept[split])} as kept" if summary.won else ""
            console.line(f"{split} top-1 {_top1(before)} with the head alone{now}")
    frozen = f"behind {summary.point.cut}" if summary.point.cut else "of the whole network"
    console.note(
        f"trained {len(summary.point.trained)} layers {frozen}, {summary.trained_numbers:,} "
        f"numbers, learning rate {summary.learning_rate:g}"
    )
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in summary.seconds.items())
    console.note(f"{stages}; next: retrain eval --top5")


def _verdict(summary: FinetuneSummary) -> str:
    result = summary.result
    before, best = result.before.validation_loss, result.best.validation_loss
    if before is None or best is None:
        return f"fine-tuned, the last of {result.epochs} epochs: there was nothing to choose by"
    if summary.won:
        return (
            f"fine-tuned, epoch {result.best_epoch} of {result.epochs}: validation loss "
            f"{best:.3f}, and {before:.3f} with the head alone"
        )
    least = min(row.validation_loss or 0.0 for row in result.history[1:])
    return (
        f"the head alone is kept: validation loss {before:.3f}, and at least {least:.3f} in "
        f"{result.epochs} epoch{'s' * (result.epochs != 1)} of fine-tuning"
    )


def _top1(result: EvalResult | None) -> str:
    from retrain_cli.evaluation.figures import HEADLINES

    if result is None:
        return NOT_DEFINED
    one = next(one for one in HEADLINES if one.name == "top1")
    share = one.of(result)
    if share is None:
        return NOT_DEFINED
    return f"{share.value:.1%} (95% CI {100 * share.low:.1f}-{share.high:.1%})"


def show_plan(plan: FinetunePlan, form: console.Form) -> None:
    """What would be done."""
    if form == "json":
        console.document({**asdict(plan), "speed_up": plan.speed_up})
        return
    where = (
        f"behind {plan.freeze_point}, {' x '.join(map(str, plan.shape))}"
        if plan.freeze_point
        else "from the pixels: photos are decoded anew in each epoch"
    )
    rows = [
        ("backbone", plan.backbone),
        ("photos", f"{plan.training:,} training, {plan.validation:,} validation"),
        ("trained", f"{plan.trained_layers} layers, {plan.trained_numbers:,} numbers, {where}"),
        ("epochs", f"{plan.epochs}, learning rate {plan.learning_rate:g}"),
        ("activations", f"of {plan.missing:,} photos{_views(plan)} to compute"),
        ("disk", f"{console.size(plan.disk_bytes)}; {console.size(plan.free_bytes)} are free"),
        ("time", f"about {console.duration(plan.seconds)}"),
        (
            "without a cache",
            f"about {console.duration(plan.usual_seconds)}, {plan.speed_up:.1f} times as long",
        ),
    ]
    console.table(console.Table(("what", "value"), [list(row) for row in rows]))


def _views(plan: FinetunePlan) -> str:
    return f" and {plan.missing_views:,} views" if plan.missing_views else ""


def draw(summary: FinetuneSummary, path: Path) -> None:
    """Write the learning curves: losses and shares of right answers, epoch by epoch."""
    from retrain_cli.reports.plots.study_plots import plot_charts

    rows = summary.result.history
    epochs = list(range(len(rows)))
    judged = [number for number, row in enumerate(rows) if row.validation_loss is not None]
    plot_charts(
        [
            Chart(
                "loss; epoch 0 is the head alone",
                "epoch",
                "cross-entropy",
                (
                    Series("training", epochs, [row.loss for row in rows]),
                    Series("validation", judged, [rows[n].validation_loss or 0.0 for n in judged]),
                ),
                shares=False,
            ),
            Chart(
                "right answers",
                "epoch",
                "share",
                (
                    Series("training", epochs, [row.training_accuracy for row in rows]),
                    Series(
                        "validation", judged, [rows[n].validation_accuracy or 0.0 for n in judged]
                    ),
                ),
            ),
        ],
        path,
    )
    console.note(f"learning curves: {path}")
