from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retrain_cli.evaluation.intervals import wilson
from retrain_cli.studies.means import Mean, difference_of, mean_of, mean_of_estimates, series_of

SHARES = st.lists(st.floats(0.2, 0.8), min_size=2, max_size=20)


@given(SHARES)
def test_the_interval_is_students(values: list[float]) -> None:
    mean = mean_of(values)
    assert mean is not None
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low <= mean.value <= mean.high
    error = stats.sem(values)
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), error)
        assert mean.low == pytest.approx(max(0, low))
        assert mean.high == pytest.approx(min(1, high))


def test_it_holds_the_truth_in_95_of_100_studies() -> None:
    draws = np.random.default_rng(0).normal(0.7, 0.05, (1000, 5))
    made: list[Any] = [mean_of(values) for values in draws.tolist()]
    held = [mean.low <= 0.7 <= mean.high for mean in made]
    assert 0.93 < np.mean(held) < 0.97


def test_one_repeat_has_no_interval_and_none_no_mean() -> None:
    mean = mean_of([0.4])
    assert (mean.value, mean.low, mean.high, mean.half_width) == (0.4, None, None, None)
    assert mean_of([]) is None
    assert mean_of([None, None]) is None
    assert mean_of([None, 0.2, 0.4]).n == 2


def test_repeats_that_agree_have_the_interval_of_their_photos() -> None:
    same, other = wilson(109 / 110, 110), wilson(1.0, 110)
    mean = mean_of_estimates([same, None, same])
    assert mean is not None
    assert (mean.value, mean.low, mean.high, mean.n) == (same.value, same.low, same.high, 2)
    assert mean_of_estimates([same, other]) == mean_of([same.value, 1.0])
    assert mean_of_estimates([same]) == mean_of([same.value])
    assert mean_of_estimates([None]) is None


def test_a_line_without_all_its_intervals_has_no_band() -> None:
    two, one = mean_of([0.1, 0.2]), mean_of([0.3])
    assert two is not None
    assert one is not None
    line = series_of("x", [(1, two), (2, one)])
    assert (line.low, line.high) == ([], [])
    assert series_of("x", [(1, two)]).low


def test_differences_may_be_below_zero_and_have_the_interval_of_a_paired_t_test() -> None:
    first, second = [0.5, 0.62, 0.55, 0.7], [0.6, 0.64, 0.7, 0.71]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    mean = difference_of(differences)
    expected = stats.ttest_rel(first, second).confidence_interval()
    assert mean is not None
    assert (mean.low, mean.high) == pytest.approx((expected.low, expected.high))
    assert difference_of([-0.25]) == Mean(-0.25, None, None, 1)
    assert difference_of([]) is None
