from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import skew
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from retrain_cli.evaluation.predictions import ImageTable, Predictions, predict
from retrain_cli.evaluation.reliability import N_BINS, Reliability


class Lookup:
    """A classifier whose bottlenecks are its logits; what it says is rounded but once."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        return np.asarray(log_softmax(logits.astype(np.float64), axis=1), np.float32)


def predicted(n: int, seed: int, n_classes: int = 4) -> tuple[Predictions, np.ndarray]:
    generator = np.random.default_rng(seed)
    logits = (3 * generator.normal(size=(n, n_classes))).astype(np.float32)
    labels = generator.integers(0, n_classes, n).astype(np.int32)
    images = ImageTable(np.full(n, 2, np.uint8), np.zeros((n, 16), np.uint8), [""] * n, labels)
    return predict(Lookup(n_classes), logits, images), logits


@given(n=st.integers(1, 200), seed=st.integers(0, 10_000))
@example(n=1, seed=8_040)  # one photo of which the head is sure: a loss of 0.0002
def test_log_loss_and_bins_are_scikit_learns(n: int, seed: int) -> None:
    predictions, logits = predicted(n, seed)
    made = Reliability.from_predictions(predictions, "test")
    scores = softmax(logits.astype(np.float64), axis=1)
    labels = predictions.images.labels
    assert made.log_loss.value == pytest.approx(log_loss(labels, scores, labels=range(4)))
    confidence = predictions.top_scores[:, 0].astype(np.float64)
    right = predictions.top_classes[:, 0] == labels
    accuracy, mean = calibration_curve(right, confidence, n_bins=N_BINS)
    filled = [entry for entry in made.bins if entry.n_images]
    assert [entry.accuracy.value for entry in filled] == pytest.approx(accuracy)
    assert [entry.confidence for entry in filled] == pytest.approx(mean)
    share = np.array([entry.n_images for entry in filled]) / n
    error = (share * np.abs(accuracy - mean)).sum()
    assert made.expected_calibration_error == pytest.approx(error)


def test_merged_sums_are_those_of_all_images() -> None:
    predictions, _ = predicted(60, 1)
    predictions.images.split[:20] = 0
    parts = [Reliability.from_predictions(predictions, split) for split in ("training", "test")]
    whole = Reliability.from_predictions(predictions, None)
    merged = parts[0].merge(parts[1])
    for name in vars(whole):
        np.testing.assert_allclose(getattr(merged, name), getattr(whole, name))


def test_the_interval_of_the_log_loss_is_halls() -> None:
    predictions, _ = predicted(200, 2)
    made = Reliability.from_predictions(predictions, None).log_loss
    losses = -predictions.log_probability.astype(np.float64)
    bend = skew(losses) / np.sqrt(200)
    for end, z in ((made.high, -1.959964), (made.low, 1.959964)):
        t = (losses.mean() - end) / (losses.std(ddof=1) / np.sqrt(200))
        assert t + bend * (t**2 / 3 + 1 / 6) + bend**2 * t**3 / 27 == pytest.approx(z)
    assert made.high - made.value > made.value - made.low > 0


def test_where_no_answer_is_wrong_one_may_still_come() -> None:
    logits = np.full((30, 2), -3, np.float32)
    logits[:, 0] = 3
    zeros = np.zeros(30, np.int32)
    images = ImageTable(np.full(30, 2, np.uint8), np.zeros((30, 16), np.uint8), [""] * 30, zeros)
    made = Reliability.from_predictions(predict(Lookup(2), logits, images), None).log_loss
    assert made.low == pytest.approx(made.value)
    assert made.high == pytest.approx(made.value + 2 * (1.959964**2 / 30) / (1 + 1.959964**2 / 30))


def test_certain_answers_fall_into_the_last_bin_and_none_have_no_figures() -> None:
    predictions, _ = predicted(3, 0)
    predictions.top_scores[:, 0] = 1.0
    assert Reliability.from_predictions(predictions, None).n_images[-1] == 3
    nothing = Reliability.from_predictions(predictions, "training")
    assert (nothing.log_loss, nothing.expected_calibration_error) == (None, None)
    json.dumps(nothing.to_dict(), allow_nan=False)
