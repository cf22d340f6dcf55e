"""The regression line against statsmodels-like arithmetic of NumPy and SciPy's own test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from retrain_cli.studies.source_target.relation import Relation

X = np.random.default_rng(1).random(16)
Y = 0.3 - 0.8 * X + 0.2 * np.random.default_rng(2).normal(size=16)


def fitted() -> Relation:
    found = Relation.of(X.tolist(), Y.tolist())
    assert found is not None
    return found


def test_slope_and_interval_are_those_of_least_squares() -> None:
    design = np.column_stack([np.ones(16), X])
    solution, residual, *_ = np.linalg.lstsq(design, Y, rcond=None)
    covariance = residual[0] / 14 * np.linalg.inv(design.T @ design)
    half = stats.t.ppf(0.975, 14) * np.sqrt(covariance[1, 1])
    line = fitted()
    assert (line.intercept, line.slope) == pytest.approx(tuple(solution))
    assert (line.low, line.high) == pytest.approx((solution[1] - half, solution[1] + half))
    assert line.p == pytest.approx(stats.pearsonr(X, Y).pvalue)
    assert line.is_there == (line.p < 0.05)


def test_the_band_is_that_of_the_mean() -> None:
    design = np.column_stack([np.ones(16), X])
    _, residual, *_ = np.linalg.lstsq(design, Y, rcond=None)
    covariance = residual[0] / 14 * np.linalg.inv(design.T @ design)
    series = fitted().series("line", X.tolist(), Y.tolist())
    at = np.array([1.0, series.x[10]])
    half = stats.t.ppf(0.975, 14) * np.sqrt(at @ covariance @ at)
    assert series.high[10] - series.y[10] == pytest.approx(half)
    assert series.y[10] - series.low[10] == pytest.approx(half)


def test_a_sentence_says_whether_there_is_a_relation() -> None:
    assert fitted().sentence("distance", 0.1).startswith("the greater the distance, the less")
    noise = Relation.of([0, 1, 2, 3], [0.1, -0.1, 0.1, -0.1])
    assert noise is not None
    assert noise.sentence("distance", 1).startswith("no relation")
    rising = Relation.of([0, 1, 2, 3], [0.1, 0.21, 0.3, 0.4])
    assert rising is not None
    assert "the more improvement: +9.9 points for 1 more" in rising.sentence("ratio", 1)


@pytest.mark.parametrize(("x", "y"), [([], []), ([1, 2], [1, 2]), ([1, 1, 1], [1, 2, 3])])
def test_too_little_for_a_line(x: list[float], y: list[float]) -> None:
    assert Relation.of(x, y) is None


def test_an_improvement_that_does_not_vary_has_no_relation() -> None:
    flat = Relation.of([1, 2, 3], [0.0, 0.0, 0.0])
    assert flat is not None
    assert not flat.is_there
    assert flat.p == 1.0
