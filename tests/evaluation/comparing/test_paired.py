from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from retrain_cli.evaluation.comparing.paired import Outcomes, class_outcomes, holm, macro_difference
from retrain_cli.evaluation.intervals import macro_estimate

counts = st.integers(0, 30)


@pytest.mark.parametrize(
    ("cells", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.0562, 0.3292),
        ((18, 14, 0, 18), 0.1441, 0.3963),
        ((36, 14, 0, 0), 0.1528, 0.4167),
        ((1, 97, 1, 1), 0.8736, 0.9850),
        ((54, 0, 0, 0), -0.0664, 0.0664),
    ],
)
def test_the_limits_are_those_of_newcombes_table_iii(cells: Any, low: float, high: float) -> None:
    both, first, second, neither = cells  # his difference is the first minus the second
    made = Outcomes(both, lost=second, gained=first, neither=neither).difference
    assert (made.low, made.high) == pytest.approx((low, high), abs=0.0001)


@given(both=counts, lost=counts, gained=counts, neither=counts)
def test_the_interval_holds_the_difference_and_turns_with_the_heads(
    both: Any, lost: Any, gained: Any, neither: Any
) -> None:
    made = Outcomes(both, lost, gained, neither).difference
    if made is None:
        assert both + lost + gained + neither == 0
        return
    assert -1 <= made.low <= made.value <= made.high <= 1
    assert made.value == pytest.approx((gained - lost) / (both + lost + gained + neither))
    turned = Outcomes(both, gained, lost, neither).difference
    assert (turned.value, turned.low, turned.high) == pytest.approx(
        (-made.value, -made.high, -made.low)
    )


@given(lost=counts, gained=counts)
def test_mcnemar_is_the_binomial_test_of_the_images_that_differ(lost: Any, gained: Any) -> None:
    p = Outcomes(5, lost, gained, 5).p_value
    if lost + gained:
        assert p == pytest.approx(binomtest(gained, lost + gained).pvalue)
    else:
        assert p == 1


def test_outcomes_are_counted() -> None:
    first = np.array([1, 1, 1, 0, 0, 0], bool)
    second = np.array([1, 1, 0, 1, 0, 0], bool)
    assert Outcomes.count(first, second) == Outcomes(2, 1, 1, 2)


@given(data=st.data(), n=st.integers(1, 30))
def test_the_macro_difference_is_that_of_the_macro_means(data: st.DataObject, n: int) -> None:
    generator = np.random.default_rng(data.draw(st.integers(0, 9999)))
    first, second = generator.random((2, n)) < 0.6
    labels = generator.integers(0, 4, n)
    made = macro_difference(first, second, labels)
    means = [
        macro_estimate(np.bincount(labels, right, 4), np.bincount(labels, minlength=4)).value
        for right in (first, second)
    ]
    assert made.value == pytest.approx(means[1] - means[0])
    assert -1 <= made.low <= made.value <= made.high <= 1


def test_no_images_have_no_difference_and_equal_heads_keep_an_interval() -> None:
    nothing = np.zeros(0, bool)
    assert macro_difference(nothing, nothing, np.zeros(0, int)) is None
    right = np.arange(12) % 3 > 0
    made = macro_difference(right, right, np.arange(12) % 4)
    assert made.value == 0
    assert made.low < 0 < made.high


def test_one_class_is_the_plain_difference_of_about_as_many_images() -> None:
    first, second = np.arange(100) < 60, np.arange(100) >= 20
    made = macro_difference(first, second, np.zeros(100, int))
    plain = Outcomes.count(first, second).difference
    assert (made.low, made.high) == pytest.approx((plain.low, plain.high), abs=0.005)


@pytest.mark.parametrize("images", [(1, 4), (3, 15), (5, 50)])
def test_the_interval_holds_the_truth_as_often_as_it_says(images: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    n = generator.integers(images[0], images[1], 30)
    labels = np.repeat(np.arange(30), n)
    one = generator.beta(6, 1.5, 30)
    other = np.clip(one + 0.1 * generator.normal(0.3, 1, 30), 0, 1)
    truth, covered = other.mean() - one.mean(), []
    for _ in range(500):
        shared, own = generator.random((2, len(labels)))
        mixed = np.where(generator.random(len(labels)) < 0.6, shared, own)
        made = macro_difference(shared < one[labels], mixed < other[labels], labels)
        covered.append(made.low <= truth <= made.high)
    assert 0.92 < np.mean(covered) < 0.99


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_outcomes_of_classes_are_those_of_each_class_alone() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 30, 80)
    first, second = (generator.random(80) < 0.5 for _ in range(2))
    found = class_outcomes(first, second, labels)
    assert list(found) == np.unique(labels).tolist()
    for label, outcomes in found.items():
        own = labels == label
        assert outcomes == Outcomes.count(first[own], second[own])
