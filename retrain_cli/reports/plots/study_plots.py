"""Charts of studies as picture files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrain_cli.reports.charts import Chart, Series, TreeChart
from retrain_cli.reports.plots.dendrogram_plot import draw_tree
from retrain_cli.reports.plots.plot_files import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    as_text,
    new_figure,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY)  # markers help in print
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_PANEL = (5.6, 3.9)  # inches
_BESIDE = 3
"""Panels of a row."""
_MANY_TICKS = 9
_LETTERS_BESIDE = 75
"""Of the ticks of a panel; with more they stand upright."""


def plot_charts(charts: Sequence[Chart | TreeChart], path: Path) -> None:
    """Write charts as one picture, three side by side; an existing file is replaced in one step.

    Args:
        charts: the panels, at least one.
        path: where to; its suffix, `.png`, `.svg` or `.pdf`, chooses the format.

    Raises:
        ConfigError: another suffix.
        WorkspaceError: the file cannot be written.
    """
    save_figure(lambda: _draw(charts), path)


def _draw(charts: Sequence[Chart | TreeChart]) -> Figure:
    columns = 2 if len(charts) == 4 else min(len(charts), _BESIDE)  # 3 and 1 look unfinished
    rows = -(-len(charts) // columns)
    figure = new_figure(_PANEL[0] * columns, _PANEL[1] * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, chart in zip(panels, charts, strict=False):
        if isinstance(chart, TreeChart):
            draw_tree(axes, chart)
        else:
            _panel(axes, chart)
    for axes in panels[len(charts) :]:
        axes.set_visible(False)
    return figure


def _panel(axes: Any, chart: Chart) -> None:
    from matplotlib.ticker import NullLocator, PercentFormatter

    number = -1
    for series in chart.series:
        number += not series.of_before
        if chart.bars:
            _bars(axes, series, number, len(chart.series))
        else:
            _line(axes, series, number)
    if chart.log_x:
        axes.set_xscale("log")
    if chart.log_y:
        axes.set_yscale("log")
    if chart.ticks:
        places, texts = zip(*((place, as_text(text)) for place, text in chart.ticks), strict=True)
        axes.set_xticks(places, texts, fontsize=9 if len(texts) < _MANY_TICKS else 7)
        if sum(map(len, texts)) > _LETTERS_BESIDE:
            axes.tick_params(axis="x", labelrotation=90)
        axes.xaxis.set_minor_locator(NullLocator())
    if chart.shares:
        _end_at_100_percent(axes, chart)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
    axes.set_title(as_text(chart.title), fontsize=11, loc="left")
    axes.grid(axis="y", color="#dddddd", zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    if len(chart.series) > 1:
        axes.legend(frameon=False, fontsize=9)


def _end_at_100_percent(axes: Any, chart: Chart) -> None:
    """No share is above 1, so no axis is; marks at the very top keep their whole size."""
    if all(value <= 1 for series in chart.series for value in series.y):
        low, high = axes.get_ylim()
        axes.set_ylim(low, min(high, 1.0))
        for line in axes.get_lines():
            line.set_clip_on(False)


def _line(axes: Any, series: Series, number: int) -> None:
    colour, marker = _COLOURS[number % len(_COLOURS)], _MARKERS[number % len(_MARKERS)]
    style: dict[str, Any] = {"linestyle": "--"}
    if series.points:
        style = {"marker": marker, "markersize": 5}
    if not series.joined:
        style["linestyle"] = "none"
    axes.plot(series.x, series.y, color=colour, label=as_text(series.label), zorder=3, **style)
    if len(series.low) == 1:  # a band of one point has no width
        axes.vlines(series.x, series.low, series.high, color=colour, alpha=0.4, lw=2)
    elif len(series.low):
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.18, lw=0)


def _bars(axes: Any, series: Series, number: int, n_series: int) -> None:
    width = 0.8 / n_series
    places = np.array(series.x) + (number - (n_series - 1) / 2) * width
    colour = _COLOURS[number % len(_COLOURS)]
    axes.bar(places, series.y, width, color=colour, label=as_text(series.label), zorder=2)
    if len(series.low):
        y = np.array(series.y)
        spread = [y - np.array(series.low), np.array(series.high) - y]
        axes.errorbar(places, y, yerr=spread, fmt="none", ecolor="#333333", capsize=2, zorder=3)
