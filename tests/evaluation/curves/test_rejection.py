"""Thresholds hold the error rate that was asked for; the coverage curve is that of a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.errors import RunError
from retrain_cli.evaluation.curves.coverage import coverage_curve
from retrain_cli.evaluation.curves.rejection import choose_rule
from retrain_cli.evaluation.predictions import ImageTable, Predictions


@given(st.integers(1, 200), st.sampled_from([0.02, 0.05, 0.1, 0.3]), st.integers(0, 10_000))
def test_the_rule_is_the_best_of_all_thresholds(n: int, max_error: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = (generator.integers(0, 20, n) / np.float32(20)).astype(np.float32)  # with ties
    right: np.ndarray = generator.random(n) < 0.3 + 0.7 * scores
    novelty = generator.random(n).astype(np.float32)
    try:
        rule = choose_rule(scores, right, novelty, max_error)
    except RunError:
        rule = None
    known = novelty <= np.sort(novelty)[n - 1 - int(max_error * n)]
    best = 0
    for threshold in np.unique(scores):
        kept = known & (scores >= threshold)
        if kept.sum() * max_error >= 1 - 1e-9 and (~right[kept]).sum() <= max_error * kept.sum():
            best = max(best, int(kept.sum()))
    assert (rule.kept if rule else 0) == best
    if rule:
        kept = (novelty <= rule.most_novelty) & (scores >= np.float32(rule.least_score))
        assert kept.sum() == rule.kept
        assert (~right[kept]).sum() == rule.wrong <= max_error * rule.kept
        assert (novelty > rule.most_novelty).sum() <= max_error * n


def test_no_validation_images_and_a_rate_out_of_reach() -> None:
    nothing = np.empty(0, np.float32)
    with pytest.raises(RunError, match="none"):
        choose_rule(nothing, np.empty(0, bool), nothing, 0.05)
    scores = np.linspace(0, 1, 50, dtype=np.float32)
    with pytest.raises(RunError, match="no threshold does it"):
        choose_rule(scores, np.zeros(50, bool), scores, 0.05)


def test_the_coverage_curve() -> None:
    n = 200
    generator = np.random.default_rng(0)
    scores = generator.random((n, 1)).astype(np.float32)
    rank = np.where(generator.random(n) < scores[:, 0], 1, 2).astype(np.int32)
    images = ImageTable(
        np.full(n, 2, np.uint8), np.zeros((n, 16), np.uint8), ["x"] * n, np.zeros(n, np.int32)
    )
    classes = np.zeros((n, 1), np.int32)
    predictions = Predictions(images, 3, rank, np.log(scores[:, 0]), classes, scores)
    curve = coverage_curve(predictions, "test")
    assert curve.points[0].coverage == 1
    assert curve.points[0].accuracy.value == pytest.approx((rank == 1).mean())
    for point in curve.points:
        kept = scores[:, 0] >= point.least_score
        assert kept.sum() == point.n_images
        assert (rank[kept] == 1).mean() == pytest.approx(point.accuracy.value)
    risks = [(rank[scores[:, 0] >= s] != 1).mean() for s in np.sort(scores[:, 0])]
    assert curve.risk_area == pytest.approx(np.mean(risks))
    assert coverage_curve(predictions, "training").points == ()
