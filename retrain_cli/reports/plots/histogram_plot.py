"""The histogram of per-class accuracy as a picture, after Fig. 9 of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult
from retrain_cli.reports.plots.plot_files import BLUE, GREY, GRID, ORANGE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The two differ in lightness as well, and the hatching tells them apart in print.
_INT_STYLE: dict[str, Any] = {"color": BLUE}
_EXT_STYLE: dict[str, Any] = {"color": ORANGE, "hatch": "///", "edgecolor": "white"}
_UNKNOWN_STYLE: dict[str, Any] = {"color": GREY}

_Series = tuple[str, tuple[int, ...], dict[str, Any]]


def draw_histogram(result: EvalResult) -> Figure:
    """How many classes reach which top-1 accuracy, INT and EXT stacked."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(8, 4.5)
    axes = figure.subplots()
    places = np.arange(len(HISTOGRAM_BINS))
    bottom = np.zeros(len(places), int)
    series = _series(result)
    for label, counts, style in series:
        axes.bar(places, counts, 0.85, bottom=bottom, label=label, zorder=2, **style)
        bottom += np.array(counts)
    _number_bars(axes, bottom)
    axes.set_xticks(places, [_tick(name) for name in HISTOGRAM_BINS], fontsize=9)
    axes.set_xlabel("top-1 accuracy of the class (%)")
    axes.set_ylabel("classes")
    axes.set_ylim(0, max(1, bottom.max()) * 1.12)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", color=GRID, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(_title(result), fontsize=11, loc="left")
    if len(series) > 1 or result.n_int_classes or result.n_ext_classes:
        axes.legend(frameon=False, loc="best")
    return figure


def _series(result: EvalResult) -> list[_Series]:
    histogram = result.histogram
    known = np.add(histogram.int_classes, histogram.ext_classes)
    unknown = tuple(np.subtract(histogram.all, known).tolist())
    series: list[_Series] = [
        (_legend("INT", histogram.int_classes), histogram.int_classes, _INT_STYLE),
        (_legend("EXT", histogram.ext_classes), histogram.ext_classes, _EXT_STYLE),
        (_legend("not known", unknown), unknown, _UNKNOWN_STYLE),
    ]
    return [entry for entry in series if sum(entry[1])]


def _legend(name: str, counts: tuple[int, ...]) -> str:
    n_classes = sum(counts)
    return f"{name} ({n_classes} {'class' if n_classes == 1 else 'classes'})"


def _number_bars(axes: Any, heights: Any) -> None:
    for place, height in enumerate(heights.tolist()):
        if height:
            axes.annotate(
                str(height),
                (place, height),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=9,
            )


def _tick(name: str) -> str:
    """`0%` is exactly that; the bins after it do not hold their lower edge."""
    return name.removesuffix("%") if name != "0%" else "exactly 0"


def _title(result: EvalResult) -> str:
    shown = result.n_classes - result.n_empty_classes
    overall = result.top1.overall
    accuracy = f", top-1 {overall.value:.1%} of these" if overall else ""
    return f"{shown} classes, {result.n_images:,} images of {result.split}{accuracy}"
