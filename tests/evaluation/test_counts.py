from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, top_k_accuracy_score

from retrain_cli.errors import ConfigError
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.ranking import rank_of, top_k

N_CLASSES = 6


def count(scores: np.ndarray, labels: np.ndarray, ks: tuple[int, ...] = (1, 2, 5)) -> EvalCounts:
    best = top_k(scores, 1)[:, 0]
    return EvalCounts.count(labels, rank_of(scores, labels), best, N_CLASSES, ks)


@st.composite
def scored_images(draw: st.DrawFn, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(least, 30))
    labels = draw(hnp.arrays(np.int32, n, elements=st.integers(0, N_CLASSES - 1)))
    seed = draw(st.integers(0, 2**32 - 1))  # of scores without ties: scikit-learn breaks them anew
    return np.random.default_rng(seed).random((n, N_CLASSES)), labels


@given(images=scored_images())
def test_the_counts_are_those_of_scikit_learn(images: Any) -> None:
    scores, labels = images
    counts, predicted = count(scores, labels), scores.argmax(axis=1)
    every = np.arange(N_CLASSES)
    assert (counts.confusion() == confusion_matrix(labels, predicted, labels=every)).all()
    n, hits = counts.n_images, counts.hits
    assert hits[:, 0].sum() / n.sum() == pytest.approx(accuracy_score(labels, predicted))
    for column, k in enumerate(counts.ks):
        oracle = top_k_accuracy_score(labels, scores, k=k, labels=every)
        assert hits[:, column].sum() / n.sum() == pytest.approx(oracle)
    recall = recall_score(labels, predicted, labels=every, average=None, zero_division=0)
    assert hits[:, 0] / np.maximum(n, 1) == pytest.approx(recall)


@given(first=scored_images(0), second=scored_images(0))
def test_merged_counts_are_those_of_all_images(first: Any, second: Any) -> None:
    merged = count(*first).merge(count(*second))
    joined: list[Any] = [np.concatenate(parts) for parts in zip(first, second, strict=True)]
    whole = count(*joined)
    assert merged.ks == whole.ks
    for name in ("n_images", "hits", "pairs", "pair_counts"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


def test_counts_of_other_classes_are_not_merged() -> None:
    images = np.eye(N_CLASSES), np.arange(N_CLASSES)
    with pytest.raises(ValueError, match="same classes"):
        count(*images).merge(count(*images, ks=(1, 3)))


def test_top_1_is_always_counted_and_ks_are_sorted() -> None:
    assert count(np.eye(N_CLASSES), np.arange(N_CLASSES), (5, 3, 5)).ks == (1, 3, 5)


def test_a_k_below_1_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"EvalRequest\.ks"):
        count(np.eye(N_CLASSES), np.arange(N_CLASSES), (0,))


def test_ten_thousand_classes_take_no_square_of_memory() -> None:
    labels = np.arange(10_000)
    counts = EvalCounts.count(labels, np.ones(10_000, int), labels, 10_000)
    assert counts.pairs.shape == (10_000, 2)
