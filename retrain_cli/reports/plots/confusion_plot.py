"""The confusion matrix as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.plots.plot_files import as_text, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NAMES = 80
_MOST_NUMBERS = 15


def draw_confusion(result: EvalResult) -> Figure:
    """Shares of each true class; few classes have their counts in the cells.

    Raises:
        ConfigError: too many classes for a matrix.
    """
    matrix = result.confusion()
    n_classes = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = min(14.0, max(5.0, 2.5 + 0.17 * n_classes))
    figure = new_figure(side + 0.8, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.7)
    if n_classes <= _MOST_NAMES:
        names = [as_text(name) for name in result.class_names]
        size = 9 if n_classes <= 30 else 6
        axes.set_xticks(range(n_classes), names, rotation=90, fontsize=size)
        axes.set_yticks(range(n_classes), names, fontsize=size)
    if n_classes <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{result.n_images:,} images of {result.split}", fontsize=11, loc="left")
    return figure
