from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from retrain_cli import notices
from retrain_cli.errors import ConfigError
from retrain_cli.reports.charts import Chart, Series, TreeChart, TreeLink
from retrain_cli.reports.plots.study_plots import _draw, plot_charts

LINES = Chart(
    "",
    "images",
    "accuracy",
    (
        Series("top-1", [3, 5, 10], [0.5, 0.6, 0.7], [0.4, 0.5, 0.6], [0.6, 0.7, 0.8]),
        Series("fit", [3, 10], [0.5, 0.7], points=False),
    ),
    ticks=((3, "3"), (10, "ten")),
    log_x=True,
)
BARS = Chart(
    "",
    "bin",
    "classes",
    (Series("few", [0, 1], [3.0, 4.0], [2.0, 3.0], [4.0, 5.0]), Series("all", [0, 1], [1.0, 6.0])),
    bars=True,
    shares=False,
)


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")]
)
def test_the_suffix_chooses_the_format(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"figure.{suffix}"
    plot_charts([LINES, BARS], path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_an_svg_of_the_same_figures_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        plot_charts([LINES], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


HOSTILE = "a$\\frac$ [x]\nb"


def test_names_of_users_are_no_formulas(tmp_path: Path) -> None:
    """Classes, layers and networks are called as their owner likes."""
    lines = Chart(HOSTILE, "", "", (Series(HOSTILE, [0], [0.5]), Series("b", [1], [0.5])))
    charts: list[Chart | TreeChart] = [
        replace(lines, ticks=((0, HOSTILE), (1, "b"))),
        replace(lines, bars=True),
        TreeChart(HOSTILE, "", [TreeLink((5, 5, 15, 15), (0, 1, 1, 0), 0)], [(5, "1")], ("A", "B")),
    ]
    plot_charts(charts, tmp_path / "figure.svg")
    shown = (tmp_path / "figure.svg").read_text()
    assert shown.count("a$\\frac$ [x]?b") == 6


def test_letters_that_no_font_has_are_told_in_a_line(tmp_path: Path) -> None:
    told: list[str] = []
    notices.listen(told.append)
    for title in ("\U00013000\U00013001", "\U00013001"):
        plot_charts([replace(LINES, title=title)], tmp_path / "figure.svg")
    assert [text.count("\U00013001") for text in told] == [1, 1]
    assert "\U00013000\U00013001" in told[0]


def test_another_suffix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.png, \.svg or \.pdf"):
        plot_charts([LINES], tmp_path / "figure.gif")


def test_lines_carry_their_figures() -> None:
    (axes,) = _draw([LINES]).axes
    first, fit = axes.get_lines()
    assert np.asarray(first.get_ydata()).tolist() == [0.5, 0.6, 0.7]
    assert fit.get_linestyle() == "--"
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["3", "ten"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["top-1", "fit"]


def test_bars_stand_side_by_side() -> None:
    (axes,) = _draw([BARS]).axes
    heights = [[bar.get_height() for bar in group] for group in axes.containers if len(group) == 2]
    assert [3.0, 4.0] in heights
    assert [1.0, 6.0] in heights
    lefts = sorted(cast(Rectangle, bar).get_x() for bar in axes.patches)
    width = cast(Rectangle, axes.patches[0]).get_width()
    assert all(b - a >= width - 1e-9 for a, b in itertools.pairwise(lefts))
