from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from retrain_cli.datasets.origins import ClassOrigin, Origin
from retrain_cli.errors import ConfigError, RetrainError
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.plots.histogram_plot import draw_histogram
from retrain_cli.reports.plots.plot_files import save_figure


def make_result(origins: list[Origin | None]) -> EvalResult:
    """Class i of n is right on i of n images."""
    n = len(origins)
    true = np.repeat(np.arange(n), n)
    right = np.tile(np.arange(n), n) < true
    predicted = np.where(right, true, (true + 1) % n)
    counts = EvalCounts.count(true, np.where(right, 1, 2), predicted, n)
    return EvalResult.from_counts(
        counts, [ClassOrigin(f"class {i}", origin) for i, origin in enumerate(origins)]
    )


RESULT = make_result(["INT", "EXT"] * 10)


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")]
)
def test_the_suffix_chooses_the_format(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"histogram.{suffix}"
    path.write_bytes(b"old")
    save_figure(lambda: draw_histogram(RESULT), path)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["histogram.jpg", "histogram", "png"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="plot"):
        save_figure(lambda: draw_histogram(RESULT), tmp_path / name)


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RetrainError, match="choose another place"):
        save_figure(lambda: draw_histogram(RESULT), tmp_path / "nowhere" / "h.png")


def test_the_bars_are_the_histogram() -> None:
    (axes,) = draw_histogram(RESULT).axes
    heights = np.array([cast(Rectangle, bar).get_height() for bar in axes.patches]).reshape(2, -1)
    assert tuple(heights[0]) == RESULT.histogram.int_classes
    assert tuple(heights[1]) == RESULT.histogram.ext_classes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "INT (10 classes)",
        "EXT (10 classes)",
    ]


def test_unknown_origins_are_bars_of_one_colour() -> None:
    result = make_result([None] * 5)
    (axes,) = draw_histogram(result).axes
    assert tuple(cast(Rectangle, bar).get_height() for bar in axes.patches) == result.histogram.all


def test_no_images_make_an_empty_picture(tmp_path: Path) -> None:
    nothing = np.zeros(0, int)
    counts = EvalCounts.count(nothing, nothing, nothing, 2)
    result = EvalResult.from_counts(counts, [ClassOrigin("a", "INT"), ClassOrigin("b", "EXT")])
    save_figure(lambda: draw_histogram(result), tmp_path / "h.png")
    assert (tmp_path / "h.png").stat().st_size > 1000
