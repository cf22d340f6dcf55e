"""Parallel coordinates: each line is one combination of settings, each upright axis one setting.

A. Inselberg, "The plane with parallel coordinates", The Visual Computer 1, 1985. Lines that share a
value of few are drawn a little apart, the better ones above.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrain_cli.reports.plots.plot_files import (
    BLUE,
    ORANGE,
    as_text,
    legend_beside,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NONE = "none"
"""A text that stands below the numbers."""

_FEW = 8
"""Up to so many values of numbers stand at equal distances; more are on a scale."""
_SPREAD = 0.045
"""How far lines of one value are drawn apart, of the height of the axis."""
_MOST, _FAR = 0.75, 2.0
"""Where the worst of all is so many times as far from the best as the worst of most of them."""
_NEXT_BEST = 4
_OTHERS = "#c9d2da"
_EDGE = "#333333"
_WIDTH, _HEIGHT = 1.45, 4.6  # inches, of an axis and of all


@dataclass(frozen=True)
class Coordinate:
    """An axis.

    Attributes:
        title: what it is.
        values: of each line, the best line first: a number, a text, or None for nothing.
        is_figure: whether it is a figure on a scale of its own, not a setting.
        lower_is_better: whether a figure is better the smaller it is; the better end is above.
        percent: whether a figure is a share.
    """

    title: str
    values: Sequence[float | str | None]
    is_figure: bool = False
    lower_is_better: bool = False
    percent: bool = False


def plot_parallel(axes: Sequence[Coordinate], path: Path) -> None:
    """Write the picture; an existing file is replaced in one step.

    Args:
        axes: at least two, of equally many lines.
        path: where to; its suffix, `.png`, `.svg` or `.pdf`, chooses the format.

    Raises:
        ConfigError: another suffix.
        WorkspaceError: the file cannot be written.
    """
    save_figure(lambda: _draw(axes), path)


def _draw(axes: Sequence[Coordinate]) -> Figure:
    figure = new_figure(_WIDTH * (len(axes) - 1) + 1.6, _HEIGHT)
    panel = figure.subplots()
    scales = [_scale_of(axis) for axis in axes]
    n_lines = len(axes[0].values)
    for number in range(n_lines):
        heights = [scale.places[number] for scale in scales]
        panel.plot(range(len(axes)), heights, **_look(number, n_lines), clip_on=False)
    for place, (axis, scale) in enumerate(zip(axes, scales, strict=True)):
        _upright(panel, place, axis, scale)
    panel.set_xlim(-0.15, len(axes) - 0.6)
    panel.set_ylim(-0.04, 1.04)
    panel.set_axis_off()
    legend_beside(figure, panel)
    return figure


def _look(number: int, n_lines: int) -> dict[str, Any]:
    """Colour, width and name of a line; the name stands at the first of its kind."""
    if number == 0:
        return {"color": ORANGE, "lw": 2.8, "zorder": 5, "label": "the best"}
    if number <= _NEXT_BEST:
        label = f"the next {min(_NEXT_BEST, n_lines - 1)}" if number == 1 else None
        return {"color": BLUE, "lw": 1.5, "zorder": 4 - number / 10, "label": label}
    label = f"{n_lines - 1 - _NEXT_BEST:,} others" if number == _NEXT_BEST + 1 else None
    return {"color": _OTHERS, "lw": 0.9, "zorder": 2, "label": label}


@dataclass(frozen=True)
class _Scale:
    """Heights from 0 to 1: of each line, and of what is written beside the axis."""

    places: Sequence[float]
    ticks: Sequence[tuple[float, str]]


def _scale_of(axis: Coordinate) -> _Scale:
    numbers = [value for value in axis.values if isinstance(value, int | float)]
    only_numbers = len(numbers) == len(axis.values)
    if axis.is_figure or (only_numbers and len(set(numbers)) > _FEW):
        return _on_scale(axis, numbers)
    return _at_steps(axis)


def _at_steps(axis: Coordinate) -> _Scale:
    """Each value at a height of its own; numbers in order, above them texts in theirs."""
    distinct = list(dict.fromkeys(axis.values))
    numbers = sorted(value for value in distinct if isinstance(value, int | float))
    order: list[float | str | None] = [
        *(value for value in (None, NONE) if value in distinct),
        *numbers,
        *(value for value in distinct if isinstance(value, str) and value != NONE),
    ]
    top = max(1, len(order) - 1)
    height = {value: number / top if len(order) > 1 else 0.5 for number, value in enumerate(order)}
    room = min(_SPREAD, 0.3 / max(1, len(order)))
    last = max(1, len(axis.values) - 1)
    places = [
        height[value] + room * (1 - 2 * number / last) for number, value in enumerate(axis.values)
    ]
    return _Scale(places, [(height[value], _word(value)) for value in order])


def _word(value: float | str | None) -> str:
    if value is None:
        return "–"
    return as_text(value) if isinstance(value, str) else f"{value:g}"


def _on_scale(axis: Coordinate, numbers: Sequence[float]) -> _Scale:
    low, high = _ends(axis, numbers)
    is_log = not axis.is_figure and low > 0 and high / low >= 10

    def height(value: float) -> float:
        if high == low:
            return 0.5
        if is_log:
            return math.log(value / low) / math.log(high / low)
        share = (value - low) / (high - low)
        return 1 - share if axis.lower_is_better else share

    marks = _round_marks(low, high) if is_log else _even_marks(low, high)
    ticks = [(height(mark), f"{mark:.1%}" if axis.percent else f"{mark:.3g}") for mark in marks]
    if (low, high) != (min(numbers), max(numbers)):
        ticks = [(at, f"{text} or worse" if at == 0 else text) for at, text in ticks]
    return _Scale([height(min(max(value, low), high)) for value in numbers], ticks)


def _ends(axis: Coordinate, numbers: Sequence[float]) -> tuple[float, float]:
    """The ends of a scale; of a figure, a few that are far worse than the others end below them."""
    low, high = min(numbers), max(numbers)
    if not axis.is_figure:
        return low, high
    ordered = sorted(numbers, reverse=not axis.lower_is_better)
    bound = ordered[int(_MOST * (len(ordered) - 1))]
    if abs(ordered[-1] - ordered[0]) <= _FAR * abs(bound - ordered[0]) or bound == ordered[0]:
        return low, high
    return (low, bound) if axis.lower_is_better else (bound, high)


def _even_marks(low: float, high: float) -> list[float]:
    return [low] if low == high else [low + (high - low) * part / 4 for part in range(5)]


def _round_marks(low: float, high: float) -> list[float]:
    """The ends, and the powers of ten that are not close to one."""
    powers = [10.0**one for one in range(math.floor(math.log10(low)), math.ceil(math.log10(high)))]
    return [low, *(one for one in powers if 1.4 * low < one < high / 1.4), high]


def _upright(panel: Any, place: int, axis: Coordinate, scale: _Scale) -> None:
    panel.plot([place, place], [0, 1], color=_EDGE, lw=1, zorder=6, clip_on=False)
    panel.text(place, 1.12, axis.title, ha="center", va="bottom", fontsize=10, weight="bold")
    box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
    for height, text in scale.ticks:
        panel.plot([place - 0.025, place], [height] * 2, color=_EDGE, lw=1, zorder=6)
        panel.text(
            place + 0.05, height, text, ha="left", va="center", fontsize=8.5, zorder=7, bbox=box
        )
