"""The reliability diagram as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrain_cli.evaluation.reliability import N_BINS, Reliability
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.plots.plot_files import BLUE, GREY, ORANGE, new_figure, unit_square

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_reliability(result: EvalResult, reliability: Reliability) -> Figure:
    """Accuracy against confidence with 95% intervals; below, how many answers are how sure."""
    figure = new_figure(6.2, 6.6)
    axes, below = figure.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="as sure as right")
    _draw_bins(axes, reliability)
    unit_square(axes, "", "share of right answers")
    axes.set_aspect("auto")
    axes.legend(frameon=False, loc="lower right")
    centres = (np.arange(N_BINS) + 0.5) / N_BINS
    below.bar(centres, reliability.n_images, 0.9 / N_BINS, color=ORANGE)
    below.set_ylabel("images")
    below.set_xlabel("score of the best class")
    below.spines[["top", "right"]].set_visible(False)
    axes.set_title(_title(result, reliability), fontsize=11, loc="left")
    return figure


def _draw_bins(axes: Any, reliability: Reliability) -> None:
    filled = [
        (entry.confidence, entry.accuracy)
        for entry in reliability.bins
        if entry.accuracy is not None
    ]
    x = [confidence for confidence, _ in filled]
    y = [accuracy.value for _, accuracy in filled]
    spread = [[a.value - a.low for _, a in filled], [a.high - a.value for _, a in filled]]
    axes.errorbar(
        x, y, spread, color=BLUE, marker="o", capsize=3, linewidth=1.2, label="these scores, 95% CI"
    )


def _title(result: EvalResult, reliability: Reliability) -> str:
    error, loss = reliability.expected_calibration_error, reliability.log_loss
    figures = (
        "" if error is None or loss is None else f"\nECE {error:.1%}, log loss {loss.value:.3f}"
    )
    return f"reliability of {result.n_images:,} answers on {result.split}{figures}"
