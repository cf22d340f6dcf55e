"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.plots.plot_files import as_text, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NAMES = 200
_WIDEST = 26.0  # inches
_MOST_NUMBERS = 15


def draw_confusion(result: EvalResult) -> Figure:
    """Shares of each true class; few classes have their counts in the cells.

    Raises:
        ConfigError: too many classes for a matrix.
    """
    matrix = result.confusion()
    n_classes = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    has_names = n_classes <= _MOST_NAMES
    names = [as_text(name) for name in result.class_names] if has_names else []
    side = min(_WIDEST if has_names else 14.0, max(5.0, 2.5 + 0.17 * n_classes))
    size = min(9.0, 0.7 * 72 * side / n_classes)
    beside = _width_of(names, size)
    figure = new_figure(side + beside + 0.8, side + beside)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.7)
    if has_names:
        axes.set_xticks(range(n_classes), names, rotation=90, fontsize=size)
        axes.set_yticks(range(n_classes), names, fontsize=size)
    if n_classes <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    order = "" if has_names else ", by its number in alphabetical order from 0"
    axes.set_xlabel(f"predicted{order}")
    axes.set_ylabel(f"true{order}")
    axes.set_title(f"{result.n_images:,} images of {result.split}", fontsize=11, loc="left")
    return figure


def _width_of(names: Sequence[str], size: float) -> float:
    """About how wide the longest is in inches, set in so many points."""
    return max((len(name) for name in names), default=0) * size * 0.6 / 72
