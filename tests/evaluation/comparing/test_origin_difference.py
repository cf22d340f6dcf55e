"""INT against EXT classes, with classes as the unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test, ttest_ind

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.evaluation.comparing.origin_difference import origin_difference
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.figures import Measured, document
from retrain_cli.evaluation.result import EvalResult

GENERATOR = np.random.default_rng(4)
KNOWN, NEW = GENERATOR.beta(9, 1, 21), GENERATOR.beta(9, 2, 39)


def test_the_interval_is_welchs() -> None:
    made = origin_difference(KNOWN, NEW)
    assert made is not None
    oracle = ttest_ind(KNOWN, NEW, equal_var=False).confidence_interval()
    assert made.difference.value == pytest.approx(KNOWN.mean() - NEW.mean())
    assert (made.difference.low, made.difference.high) == pytest.approx((oracle.low, oracle.high))
    assert (made.n_int, made.n_ext) == (21, 39)


def test_the_p_value_is_that_of_all_deals() -> None:
    few, more = KNOWN[:3], NEW[:4]

    def difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(np.abs(one.mean(axis=axis) - other.mean(axis=axis)))

    exact = permutation_test((few, more), difference, alternative="greater", vectorized=True)
    made = origin_difference(few, more)
    assert made is not None
    assert made.p_value == pytest.approx(exact.pvalue, abs=0.02)


def test_one_class_of_a_kind_or_classes_that_are_all_alike_tell_nothing() -> None:
    assert origin_difference(KNOWN[:1], NEW) is None
    assert origin_difference(KNOWN, NEW[:0]) is None
    assert origin_difference(np.ones(4), np.ones(9)) is None


def test_an_evaluation_has_it() -> None:
    names = [ClassOrigin(f"class {i}", "INT" if i < 3 else "EXT") for i in range(6)]
    true = np.repeat(np.arange(6), 4)
    predicted = np.where((true >= 3) & (np.arange(24) % 2 == 0), 0, true)
    predicted[0] = 5
    counts = EvalCounts.count(true, np.where(predicted == true, 1, 2), predicted, 6)
    found = document(Measured(EvalResult.from_counts(counts, names)))["int_ext_difference"]
    assert found["difference"]["value"] == pytest.approx(11 / 12 - 1 / 2)
    assert found["difference"]["low"] < 11 / 12 - 1 / 2 < found["difference"]["high"]
    assert (found["n_int"], found["n_ext"]) == (3, 3)
