"""Parallel coordinates: where lines stand, and that all of it fits into the picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrain_cli.reports.plots.parallel_plot import Coordinate, _draw, _scale_of, plot_parallel

N = 40
AXES = [
    Coordinate("backbone", [("inception_v3", "mobilenet_v2")[n % 2] for n in range(N)]),
    Coordinate("learning rate", [10 ** -(1 + n / 13) for n in range(N)]),
    Coordinate("hidden", [("none", 64, 256, "256+128")[n % 4] for n in range(N)]),
    Coordinate("dropout", [0.0 if n % 3 else 0.5 for n in range(N)]),
    Coordinate("activation", [None if n % 4 == 0 else "relu" for n in range(N)]),
    Coordinate("top-1", [0.9 - n / 100 for n in range(N)], is_figure=True, percent=True),
    Coordinate("log loss", [0.3 + n / 50 for n in range(N)], True, lower_is_better=True),
]


@pytest.mark.parametrize("count", [1, 2, 5, 6, N])
def test_the_best_is_told_from_the_others(count: int) -> None:
    axes = [Coordinate(one.title, one.values[:count], one.is_figure) for one in AXES]
    (panel,) = _draw(axes).axes
    names = [text.get_text() for text in _draw(axes).legends[0].get_texts()]
    assert names[0] == "the best"
    assert len(names) == min(3, 1 + (count > 1) + (count > 5))
    lines = [line for line in panel.get_lines() if np.size(line.get_xdata()) == len(axes)]
    assert len(lines) == count
    assert max(lines, key=lambda line: line.get_zorder()) is lines[0]
    assert max(lines, key=lambda line: line.get_linewidth()) is lines[0]


def test_everything_lies_within_the_picture() -> None:
    figure = _draw(AXES)
    figure.draw_without_rendering()
    width, height = figure.canvas.get_width_height()
    (panel,) = figure.axes
    for text in [*panel.texts, *figure.legends[0].get_texts()]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0, text
        assert box.x1 <= width and box.y1 <= height, text


def test_values_stand_in_order() -> None:
    hidden = _scale_of(AXES[2])
    assert [text for _, text in hidden.ticks] == ["none", "64", "256", "256+128"]
    assert [text for _, text in _scale_of(AXES[4]).ticks] == ["–", "relu"]
    rates = _scale_of(AXES[1])
    assert rates.places[0] == 1
    assert rates.places[-1] == 0
    assert [text for _, text in rates.ticks][1:-1] == ["0.001", "0.01"]


def test_the_better_end_of_a_figure_is_above() -> None:
    for axis in AXES[-2:]:
        assert _scale_of(axis).places[0] == 1


def test_a_few_that_are_far_worse_do_not_press_the_others_together() -> None:
    losses = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 99.0]
    scale = _scale_of(Coordinate("log loss", losses, True, lower_is_better=True))
    assert scale.places[1] < 0.9
    assert scale.places[-1] == 0
    assert any(text.endswith("or worse") for _, text in scale.ticks)


def test_a_file_of_each_kind(tmp_path: Path) -> None:
    for suffix in ("png", "svg", "pdf"):
        path = tmp_path / f"a.{suffix}"
        plot_parallel(AXES, path)
        assert path.stat().st_size > 1000
