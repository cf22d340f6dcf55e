from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import precision_recall_fscore_support

from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.class_figures import averages, class_figures
from retrain_cli.evaluation.confusions import confused_pairs
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.two_classes import two_class_table

N_CLASSES = 5

answers = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.int32, n, elements=st.integers(0, N_CLASSES - 1)),
        hnp.arrays(np.int32, n, elements=st.integers(0, N_CLASSES - 1)),
    )
)


def count(true: np.ndarray, predicted: np.ndarray, n_classes: int = N_CLASSES) -> EvalCounts:
    return EvalCounts.count(true, np.where(true == predicted, 1, 2), predicted, n_classes, (1,))


def oracle(true: Any, predicted: Any, labels: Any, average: Any, zero_division: Any = 0.0) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return precision_recall_fscore_support(
            true, predicted, labels=labels, average=average, zero_division=zero_division
        )[:3]


@given(images=answers)
def test_each_class_is_scikit_learns(images: Any) -> None:
    made = class_figures(count(*images))
    expected = oracle(images[0], images[1], range(N_CLASSES), None, np.nan)
    for ours, theirs in zip((made.precision, made.recall, made.f1), expected, strict=True):
        np.testing.assert_allclose(ours, theirs)


@settings(max_examples=30)
@given(images=answers)
def test_the_averages_are_scikit_learns_over_the_classes_with_images(images: Any) -> None:
    made = averages(count(*images))
    present = np.unique(images[0])
    for name, labels in (("micro", range(N_CLASSES)), ("macro", present), ("weighted", present)):
        average = getattr(made, name)
        expected = oracle(images[0], images[1], labels, name)
        for estimate, theirs in zip(vars(average).values(), expected, strict=True):
            assert estimate.value == pytest.approx(theirs)
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_no_images_have_no_averages() -> None:
    nothing = np.zeros(0, np.int32)
    made = averages(count(nothing, nothing))
    assert (made.micro.f1, made.macro.precision, made.weighted.f1) == (None, None, None)


def test_all_right_keeps_an_interval() -> None:
    true = np.repeat(np.arange(N_CLASSES), 4)
    f1 = averages(count(true, true)).macro.f1
    assert f1.value == 1
    assert 0.5 < f1.low < 1


def test_none_right_keeps_an_interval() -> None:
    true = np.repeat(np.arange(N_CLASSES), 4)
    f1 = averages(count(true, (true + 1) % N_CLASSES)).macro.f1
    assert f1.value == 0
    assert 0 < f1.high < 0.5


def test_the_bootstrap_is_that_of_resampled_images() -> None:
    generator = np.random.default_rng(3)
    true = generator.integers(0, N_CLASSES, 200)
    predicted = np.where(generator.random(200) < 0.7, true, generator.integers(0, N_CLASSES, 200))
    made = averages(count(true, predicted)).macro.f1
    plain = []
    for _ in range(1000):
        chosen = generator.integers(0, 200, 200)
        plain.append(oracle(true[chosen], predicted[chosen], range(N_CLASSES), "macro")[2])
    half = 1.06 * 1.96 * np.std(plain)
    bias = np.mean(plain) - made.value
    assert made.low == pytest.approx(made.value - half - max(0, bias), abs=0.015)
    assert made.high == pytest.approx(made.value + half + max(0, -bias), abs=0.015)


def test_ten_thousand_classes_take_little_memory() -> None:
    true = np.arange(10_000)
    made = averages(count(true, np.where(true % 2, true, true + 1), 10_000))
    assert made.macro.precision.value == pytest.approx(0.25)


def test_confused_pairs_come_by_count_then_by_share() -> None:
    true = np.array([0] * 4 + [1] * 2 + [2] * 9)
    predicted = np.array([0, 1, 1, 2] + [0, 0] + [2] * 8 + [0])
    pairs = confused_pairs(count(true, predicted), "abcde")
    assert [(p.true, p.predicted, p.count, p.n_images) for p in pairs] == [
        ("b", "a", 2, 2),
        ("a", "b", 2, 4),
        ("a", "c", 1, 4),
        ("c", "a", 1, 9),
    ]
    assert confused_pairs(count(true, predicted), "abcde", 1) == pairs[:1]
    assert pairs[1].share == 0.5


def test_two_classes() -> None:
    true, predicted = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1, 0])
    counts = count(true, predicted, 2)
    table = two_class_table(counts, ("ill", "well"))
    assert (table.positive, table.tp, table.fn, table.fp, table.tn) == ("well", 3, 1, 1, 2)
    assert table.sensitivity.value == 3 / 4
    assert table.specificity.value == 2 / 3
    assert two_class_table(counts, ("o\u0308l", "well"), "\u00f6l").positive == "o\u0308l"
    turned = two_class_table(counts, ("ill", "well"), "ill")
    assert (turned.positive, turned.tp, turned.fn, turned.fp, turned.tn) == ("ill", 2, 1, 1, 3)
    assert turned.positive_predictive_value.value == 2 / 3
    assert turned.negative_predictive_value.value == 3 / 4
    with pytest.raises(ConfigError, match="positive"):
        two_class_table(counts, ("ill", "well"), "sick")


def test_a_2x2_table_with_one_class_in_the_split_has_gaps() -> None:
    table = two_class_table(count(np.array([1]), np.array([1]), 2), ("a", "b"))
    assert table.to_dict()["specificity"] is None
    assert table.sensitivity.value == 1


def test_more_than_two_classes_have_no_2x2_table() -> None:
    counts = count(np.array([1]), np.array([1]))
    assert two_class_table(counts, tuple("abcde")) is None
    with pytest.raises(ConfigError, match="a run with two"):
        two_class_table(counts, tuple("abcde"), "a")
