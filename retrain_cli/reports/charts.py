"""Charts as plain data: what is drawn, apart from how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Series:
    """A line with its points, or the bars of one group.

    Attributes:
        label: its name in the legend.
        x: places, ascending.
        y: values.
        low: lower ends of the confidence intervals; empty where there are none.
        high: upper ends.
        points: False for a curve that is only computed, such as a fit.
        joined: False for points that no line joins.
        of_before: whether it is drawn in the colour of the series before it.
    """

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = field(default=())
    high: Sequence[float] = field(default=())
    points: bool = True
    joined: bool = True
    of_before: bool = False


@dataclass(frozen=True)
class Chart:
    """One panel.

    Attributes:
        title: what it shows.
        x_label: name of the horizontal axis.
        y_label: name of the vertical axis.
        series: lines or bars.
        ticks: `(place, text)` of the horizontal axis; empty to let it choose.
        log_x: whether the horizontal axis is logarithmic.
        log_y: whether the vertical axis is.
        bars: bars instead of lines.
        shares: whether values are shares, shown in percent.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    ticks: tuple[tuple[float, str], ...] = ()
    log_x: bool = False
    log_y: bool = False
    bars: bool = False
    shares: bool = True


@dataclass(frozen=True)
class TreeLink:
    """Where two clusters of a tree are put together: three sides of a rectangle.

    Attributes:
        x: four places, from the foot of one branch to that of the other.
        y: four heights.
        branch: which of the tree's branches it belongs to, an index into `TreeChart.branches`;
            -1 for none.
    """

    x: Sequence[float]
    y: Sequence[float]
    branch: int


@dataclass(frozen=True)
class TreeChart:
    """A panel with a tree of clusters, its last links alone.

    Attributes:
        title: what it shows.
        y_label: what the heights are.
        links: from the ground up.
        ticks: `(place, text)` of what is below the links that are shown.
        branches: names of its parts, for the legend.
    """

    title: str
    y_label: str
    links: Sequence[TreeLink]
    ticks: Sequence[tuple[float, str]]
    branches: tuple[str, ...]
