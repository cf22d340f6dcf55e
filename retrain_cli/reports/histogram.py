"""The histogram of per-class accuracy as a picture, after Fig. 9 of the study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.result import HISTOGRAM_BINS, EvalResult
from retrain_cli.workspace import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")

# Blue and orange of Okabe and Ito's palette, told apart by every kind of colour vision; they
# differ in lightness as well, and the hatching tells them apart in print.
_INT_STYLE: dict[str, Any] = {"color": "#0072B2"}
_EXT_STYLE: dict[str, Any] = {"color": "#E69F00", "hatch": "///", "edgecolor": "white"}
_UNKNOWN_STYLE: dict[str, Any] = {"color": "#767676"}

_Series = tuple[str, tuple[int, ...], dict[str, Any]]


def plot_histogram(result: EvalResult, path: Path) -> None:
    """Write the histogram as a picture; an existing file is replaced in one step.

    Args:
        result: the evaluation.
        path: where to; its suffix, `.png`, `.svg` or `.pdf`, chooses the format.

    Raises:
        ConfigError: another suffix.
        WorkspaceError: the file cannot be written.
    """
    suffix = check_format(path)
    figure = _draw(result)
    with replacing(path) as draft:
        figure.savefig(draft, format=suffix, dpi=150)


def check_format(path: Path) -> str:
    """The format that a picture's suffix names.

    Raises:
        ConfigError: another suffix.
    """
    suffix = path.suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise ConfigError(f"--plot takes a file ending in .png, .svg or .pdf, not {path.name!r}")
    return suffix


def _draw(result: EvalResult) -> Figure:
    # Figure without pyplot: no window system, no state shared with a notebook.
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 4.5), layout="constrained")
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
    axes.grid(axis="y", color="#dddddd", zorder=0)
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
    accuracy = f", top-1 {overall.value:.1%}" if overall else ""
    return f"{shown} classes, {result.n_images:,} images of {result.split}{accuracy}"
