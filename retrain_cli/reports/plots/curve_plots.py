"""ROC and precision-recall curves as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrain_cli.evaluation.curves.class_curves import Curves
from retrain_cli.evaluation.curves.rank_counts import RankCounts
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.plots.plot_files import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    as_text,
    legend_beside,
    new_figure,
    unit_square,
)
from retrain_cli.reports.text import plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_THIN = 200
"""How many thin curves of classes are drawn, the worst first: more cannot be told apart."""

_NAMED_COLOURS = (RED, ORANGE, PURPLE, SKY)
_STYLES = ("-", "-.")
_FEW = len(_NAMED_COLOURS) * len(_STYLES)
"""Up to so many classes, all have their names."""
_Ranked = list[tuple[float, str, RankCounts]]


def draw_roc(result: EvalResult, curves: Curves) -> Figure:
    """ROC curves: every class against the rest, the worst with their names; macro and micro."""
    figure, axes = _square()
    worst = _worst_first(result, curves, "auc")
    _draw_classes(axes, worst, lambda curve: curve.roc(), "default")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    mean = curves.macro_roc()
    if mean is not None:
        label = _area("macro", curves.macro_auc)
        axes.plot(*mean, color=BLUE, linewidth=2.2, label=label)
    micro = _area("micro", curves.micro_auc)
    axes.plot(*curves.micro.roc(), color=GREEN, linewidth=2.2, linestyle="--", label=micro)
    unit_square(axes, "false positive rate", "true positive rate (recall)")
    return _finish(figure, axes, result, "ROC, each class against the rest")


def draw_precision_recall(result: EvalResult, curves: Curves) -> Figure:
    """Precision-recall curves: every class, the worst with their names; and micro."""
    figure, axes = _square()
    worst = _worst_first(result, curves, "average_precision")
    _draw_classes(axes, worst, lambda curve: curve.precision_recall(), "steps-pre")
    recall, precision = curves.micro.precision_recall()
    value = curves.micro.average_precision
    label = "micro" if value is None else f"micro, AP {plain(value)}"
    axes.step(recall, precision, color=GREEN, linewidth=2.2, linestyle="--", label=label)
    unit_square(axes, "recall", "precision")
    mean = curves.macro_average_precision
    macro = "" if mean is None else f", mean AP {plain(mean)}"
    return _finish(figure, axes, result, f"precision and recall, each class{macro}")


def _square() -> tuple[Figure, Any]:
    figure = new_figure(5.8, 5.4)
    return figure, figure.subplots()


def _worst_first(result: EvalResult, curves: Curves, figure: str) -> _Ranked:
    ranked = [
        (value, result.class_names[index], curve)
        for index, curve in enumerate(curves.classes)
        if (value := getattr(curve, figure)) is not None
    ]
    return sorted(ranked, key=lambda entry: entry[:2])


def _draw_classes(axes: Any, worst: _Ranked, points: Any, style: str) -> None:
    """A few classes each with its name; of many the worst with theirs, and the others thin."""
    named = worst if len(worst) <= _FEW else worst[: len(_NAMED_COLOURS)]
    others = worst[len(named) :]
    drawn = others[: _MOST_THIN - len(named)]
    count = f"{len(drawn):,} of {len(others):,}" if len(drawn) < len(others) else f"{len(others):,}"
    for number, (_, _, curve) in enumerate(reversed(drawn)):
        x, y = points(curve)
        label = f"{count} other classes" if number == 0 else None
        axes.plot(x, y, color=GREY, alpha=0.25, linewidth=0.8, drawstyle=style, label=label)
    for number, (value, name, curve) in enumerate(named):
        x, y = points(curve)
        axes.plot(
            x,
            y,
            color=_NAMED_COLOURS[number % len(_NAMED_COLOURS)],
            linestyle=_STYLES[number // len(_NAMED_COLOURS)],
            linewidth=1.3,
            drawstyle=style,
            label=f"{as_text(name)}, {plain(value)}",
        )


def _area(name: str, estimate: Estimate | None) -> str:
    if estimate is None:
        return name
    value, low, high = map(plain, (estimate.value, estimate.low, estimate.high))
    return f"{name}, AUC {value} ({low}-{high})"


def _finish(figure: Figure, axes: Any, result: EvalResult, title: str) -> Figure:
    photos = f"{result.n_images:,} images of {result.split}"
    axes.set_title(f"{title}\n{photos}", fontsize=11, loc="left")
    legend_beside(figure, axes)
    return figure
