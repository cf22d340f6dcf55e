from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import (
    auc,
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from retrain_cli.evaluation import predictions as module
from retrain_cli.evaluation.curves.class_curves import curves_of
from retrain_cli.evaluation.curves.rank_counts import RankCounts, auc_interval
from retrain_cli.evaluation.predictions import ImageTable, Predictions, predict
from retrain_cli.evaluation.scores import AllScores, computed_scores, saved_scores

# Few distinct values, so that ties are common.
binary = st.integers(1, 30).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.bool_, n),
        hnp.arrays(np.float32, n, elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0])),
    )
)


def counted(is_positive: np.ndarray, scores: np.ndarray) -> RankCounts:
    counts = RankCounts.of_positives(scores[is_positive])
    if is_positive.any():
        counts.add(counts.slots_of(scores[~is_positive]))
    return counts


def points(x: np.ndarray, y: np.ndarray) -> set[tuple[float, float]]:
    return set(zip(x.round(9).tolist(), y.round(9).tolist(), strict=True))


@given(images=binary)
def test_areas_and_curves_are_scikit_learns(images: Any) -> None:
    is_positive, scores = images
    counts = counted(is_positive, scores)
    if is_positive.all() or not is_positive.any():
        assert (counts.auc, counts.average_precision, counts.auc_estimate) == (None, None, None)
        return
    assert counts.auc == pytest.approx(roc_auc_score(is_positive, scores))
    assert counts.average_precision == pytest.approx(average_precision_score(is_positive, scores))
    false, true = counts.roc()
    assert auc(false, true) == pytest.approx(counts.auc)
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)
    their_false, their_true, _ = roc_curve(is_positive, scores, drop_intermediate=False)
    assert points(false, true) <= points(their_false, their_true)
    recall, precision = counts.precision_recall()
    their_precision, their_recall, _ = precision_recall_curve(is_positive, scores)
    assert points(recall, precision) <= points(their_recall, their_precision)


@given(images=binary)
def test_delong_is_the_sum_over_all_pairs(images: Any) -> None:
    is_positive, scores = images
    x, y = scores[is_positive], scores[~is_positive]
    made = counted(is_positive, scores).delong_variance
    if min(len(x), len(y)) < 2:
        assert made is None
        return
    wins = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    expected = wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / len(y)
    assert made == pytest.approx(expected, abs=1e-12)


@given(images=binary)
def test_an_interval_holds_the_area(images: Any) -> None:
    estimate = counted(*images).auc_estimate
    if estimate is not None:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.low < estimate.high


def test_the_interval_of_a_perfect_separation_shrinks_with_the_images() -> None:
    few, many = auc_interval(1.0, 0.0, 3, 10), auc_interval(1.0, 0.0, 300, 1000)
    assert few.low < 0.8
    assert 0.99 < many.low < 1
    assert few.high == many.high == 1


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_the_interval_of_an_area_holds_the_truth_as_often_as_it_says(shift: float) -> None:
    from scipy.stats import norm

    generator = np.random.default_rng(0)
    truth, covered = norm.cdf(shift / np.sqrt(2)), []
    is_positive = np.arange(60) < 15
    for _ in range(600):
        scores = generator.normal(size=60) + shift * is_positive
        estimate = counted(is_positive, scores).auc_estimate
        covered.append(estimate.low <= truth <= estimate.high)
    assert 0.92 < np.mean(covered) < 0.985


class Lookup:
    """A classifier whose bottlenecks are its logits."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def predicted(logits: np.ndarray, labels: np.ndarray) -> Predictions:
    n = len(labels)
    images = ImageTable(
        np.full(n, 2, np.uint8), np.zeros((n, 16), np.uint8), ["x"] * n, labels.astype(np.int32)
    )
    return predict(Lookup(logits.shape[1]), logits, images)


def scores_of(predictions: Predictions, rows: np.ndarray) -> AllScores:
    scores = saved_scores(predictions, rows)
    assert scores is not None
    return scores


@st.composite
def scored(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n, n_classes = draw(st.integers(1, 25)), draw(st.integers(2, 5))
    labels = draw(hnp.arrays(np.int32, n, elements=st.integers(0, n_classes - 1)))
    return draw(
        hnp.arrays(np.float32, (n, n_classes), elements=st.sampled_from([-2.0, 0.0, 0.5, 3.0]))
    ), labels


@settings(max_examples=60)
@given(images=scored())
def test_one_against_the_rest_micro_and_macro_are_scikit_learns(images: Any) -> None:
    logits, labels = images
    predictions = predicted(logits, labels)
    rows = np.arange(len(labels))
    source = scores_of(predictions, rows)
    (scores,) = source.pieces()
    made = curves_of(source)
    truth = labels[:, None] == np.arange(logits.shape[1])
    areas, precisions = [], []
    for index, curve in enumerate(made.classes):
        column = truth[:, index]
        if column.all() or not column.any():
            assert curve.auc is None
            continue
        areas.append(roc_auc_score(column, scores[:, index]))
        precisions.append(average_precision_score(column, scores[:, index]))
        assert curve.auc == pytest.approx(areas[-1])
        assert curve.average_precision == pytest.approx(precisions[-1])
    assert made.micro_auc.value == pytest.approx(roc_auc_score(truth.ravel(), scores.ravel()))
    assert made.micro.average_precision == pytest.approx(
        average_precision_score(truth.ravel(), scores.ravel())
    )
    if not areas:
        assert (made.macro_auc, made.macro_average_precision) == (None, None)
        return
    assert made.macro_auc.value == pytest.approx(np.mean(areas))
    assert made.macro_average_precision == pytest.approx(np.mean(precisions))
    for estimate in (made.macro_auc, made.micro_auc):
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_computed_scores_give_the_same_curves_as_saved_ones_in_any_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 50)
    logits = generator.normal(size=(50, 4)).astype(np.float32)
    predictions, rows = predicted(logits, labels), np.arange(10, 50)
    whole = curves_of(scores_of(predictions, rows))
    monkeypatch.setattr(module, "_CHUNK_VALUES", 28)
    monkeypatch.setattr(module, "_FEWEST_ROWS", 1)
    seen = []
    pieces = curves_of(
        computed_scores(Lookup(4), logits[rows], predictions, rows),
        lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (40, 40)
    assert len(seen) == 6
    assert pieces.micro_auc.value == pytest.approx(whole.micro_auc.value)
    assert pieces.micro_auc.low == pytest.approx(whole.micro_auc.low)
    assert pieces.macro_auc.low == pytest.approx(whole.macro_auc.low)


def test_saved_scores_that_are_not_all_there_are_none() -> None:
    generator = np.random.default_rng(0)
    predictions = predicted(generator.normal(size=(3, 150)).astype(np.float32), np.arange(3))
    assert saved_scores(predictions, np.arange(3)) is None


def test_the_intervals_of_the_averages_hold_the_truth_as_often_as_they_say() -> Any:
    generator = np.random.default_rng(1)

    def curves(n: int) -> Any:
        labels = generator.integers(0, 5, n)
        logits = generator.normal(size=(n, 5)) + 1.5 * np.eye(5)[labels]
        return curves_of(scores_of(predicted(logits.astype(np.float32), labels), np.arange(n)))

    truth = curves(40_000)
    made = [curves(60) for _ in range(300)]
    for name in ("macro_auc", "micro_auc"):
        value = getattr(truth, name).value
        hits = [getattr(c, name).low <= value <= getattr(c, name).high for c in made]
        assert 0.91 < np.mean(hits) < 0.985, (name, np.mean(hits))


def test_the_macro_curve_is_the_mean_of_the_classes() -> None:
    labels = np.array([0, 0, 1, 1])
    logits = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]], np.float32))
    made = curves_of(scores_of(predicted(logits, labels), np.arange(4)))
    mean = made.macro_roc(3)
    assert mean is not None
    x, y = mean
    assert x.tolist() == [0, 0.5, 1]
    assert y.tolist() == [0.5, 1, 1]
