from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, chi2

from retrain_cli.evaluation.intervals import macro_estimate, share_estimate, wilson


@given(n=st.integers(1, 500), data=st.data())
def test_wilson_is_scipys(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    oracle = binomtest(hits, n).proportion_ci(method="wilson")
    made = wilson(hits / n, n)
    assert (made.low, made.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)
    share = share_estimate(hits, n)
    assert share is not None
    assert 0 <= share.low <= made.low <= share.value <= made.high <= share.high <= 1
    if min(hits, n - hits) not in (1, 2, 3):
        assert share == made


@pytest.mark.parametrize("n", [5, 20, 50, 86, 300])
def test_a_share_near_0_or_1_is_held_as_often_as_it_says(n: int) -> None:
    """Exactly, by the binomial distribution: Wilson's own holds it in 84% of cases at worst."""
    made = [share_estimate(hits, n) for hits in range(n + 1)]
    ends = np.array([(one.low, one.high) for one in made if one is not None])
    truths = np.concatenate([np.geomspace(1e-4, 0.5, 400), ends[:, 0] - 1e-9, ends[:, 1] + 1e-9])
    truths = truths[(truths > 0) & (truths < 1)]
    held = (ends[:, :1] <= truths) & (truths <= ends[:, 1:])
    chances = binom.pmf(np.arange(n + 1)[:, None], n, truths)
    assert (chances * held).sum(axis=0).min() > 0.91


def test_the_bounds_of_few_are_poissons() -> None:
    one_of_many = [share_estimate(hits, 1000) for hits in (1, 2, 3)]
    low = [one.low for one in one_of_many if one is not None]
    assert low == pytest.approx(chi2.ppf(0.05, [2, 4, 6]) / 2 / 1000)


def test_no_images_have_no_accuracy() -> None:
    nothing = np.zeros(3, int)
    assert share_estimate(0, 0) is None
    assert macro_estimate(nothing, nothing) is None


@given(classes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12))
def test_the_macro_mean_leaves_out_empty_classes(classes: list[tuple[int, int]]) -> None:
    hits, misses = np.array(classes).T
    n = hits + misses
    made = macro_estimate(hits, n)
    if not n.any():
        assert made is None
        return
    assert made is not None
    assert made.value == pytest.approx((hits[n > 0] / n[n > 0]).mean())
    assert 0 <= made.low <= made.value <= made.high <= 1


def test_one_class_is_the_plain_interval() -> None:
    made, plain = macro_estimate(np.array([7, 0]), np.array([10, 0])), wilson(0.7, 10)
    assert made is not None
    assert (made.low, made.high) == pytest.approx((plain.low, plain.high))


def test_equal_classes_are_as_good_as_one_sample() -> None:
    made = macro_estimate(np.full(5, 8), np.full(5, 10))
    pooled = wilson(0.8, 50)
    assert made is not None
    assert (made.low, made.high) == pytest.approx((pooled.low, pooled.high))


def test_all_right_keeps_an_interval() -> None:
    made = macro_estimate(np.array([4, 2]), np.array([4, 2]))
    pooled = wilson(1, 4 / (1 / 4 + 1 / 2))
    assert made is not None
    assert (made.low, made.high) == pytest.approx((pooled.low, pooled.high))
    assert made.low < made.high == 1


@pytest.mark.parametrize("images", [(1, 4), (3, 15), (5, 50)])
@pytest.mark.parametrize("shape", [(6, 1.5), (2, 2), (9, 0.5)])
def test_the_interval_holds_the_truth_as_often_as_it_says(
    images: tuple[int, int], shape: tuple[float, float]
) -> None:
    generator = np.random.default_rng(0)
    truth = generator.beta(shape[0], shape[1], 40)
    n = generator.integers(images[0], images[1], 40)
    made = [macro_estimate(generator.binomial(n, truth), n) for _ in range(1000)]
    covered = np.mean([e is not None and e.low <= truth.mean() <= e.high for e in made])
    assert 0.925 < covered < 0.985
