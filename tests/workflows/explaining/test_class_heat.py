"""The mean heatmap of a class: whose photos, and whether it lies at the border."""

from __future__ import annotations

import numpy as np
import pytest

from retrain_cli.workflows.explaining.class_heat import PHOTOS, ClassHeat, drawn_rows


def heat(grid: np.ndarray, n_photos: int = 20) -> ClassHeat:
    return ClassHeat("ant", n_photos, grid.astype(np.float64))


def framed(side: int, ring: float, within: float = 1.0) -> np.ndarray:
    grid = np.full((side, side), ring)
    grid[1:-1, 1:-1] = within
    return grid


def test_even_evidence_lies_nowhere() -> None:
    even = heat(np.ones((7, 7)))
    assert even.at_the_border == pytest.approx(24 / 49)
    assert not even.lies_at_the_border
    assert not heat(np.zeros((7, 7))).lies_at_the_border


@pytest.mark.parametrize("side", [4, 7, 8, 10])
def test_it_lies_at_the_border_where_a_field_there_has_a_fifth_more(side: int) -> None:
    assert not heat(framed(side, 1.15)).lies_at_the_border
    assert heat(framed(side, 1.25)).lies_at_the_border
    corner = np.zeros((side, side))
    corner[0, 0] = 1  # a stamp
    assert heat(corner).lies_at_the_border


def test_few_photos_and_small_grids_say_nothing() -> None:
    assert not heat(framed(7, 9), 4).lies_at_the_border
    assert not heat(np.eye(2)).lies_at_the_border
    assert not heat(np.ones((1, 1))).lies_at_the_border


def test_of_each_class_as_many_photos_and_the_same_again() -> None:
    labels = np.repeat(np.arange(30), 100)
    rows = np.arange(0, 3_000, 2)
    drawn = drawn_rows(labels, rows)
    assert set(drawn) <= set(rows)
    assert (np.bincount(labels[drawn]) == PHOTOS // 30).all()
    assert (drawn == drawn_rows(labels, rows)).all()
    assert len(drawn_rows(labels, np.empty(0, np.int64))) == 0
    many = drawn_rows(np.arange(2_000).repeat(4), np.arange(8_000))
    assert len(many) == 2_000 * 3
