"""A tree of clusters as a panel."""

from __future__ import annotations

from typing import Any

from retrain_cli.reports.charts import TreeChart
from retrain_cli.reports.plots.plot_files import BLUE, GREY, ORANGE, as_text

_BRANCHES = (BLUE, ORANGE)


def draw_tree(axes: Any, chart: TreeChart) -> None:
    """Draw the links of a tree, each branch in its colour, with photos counted at the foot."""
    for link in chart.links:
        colour = GREY if link.branch < 0 else _BRANCHES[link.branch]
        axes.plot(link.x, link.y, color=colour, linewidth=1.3, solid_joinstyle="miter")
    for name, colour in zip(chart.branches, _BRANCHES, strict=True):
        axes.plot([], [], color=colour, label=name)
    places, texts = zip(*chart.ticks, strict=True)
    axes.set_xticks(places, texts, fontsize=8)
    if max(map(len, texts)) > 2:
        axes.tick_params(axis="x", labelrotation=90)
    top = max(max(link.y) for link in chart.links)
    axes.set_ylim(0, 1.22 * top or 1)  # the legend stands above the tree
    axes.set(xlabel="photos below", ylabel=chart.y_label)
    axes.set_title(as_text(chart.title), fontsize=11, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
