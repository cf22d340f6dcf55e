from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax
from sklearn.metrics import log_loss

from retrain_cli.heads.temperature import fit_temperature, loss_slope, platt_doubt


def noisy_logits(n: int, n_classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose labels are drawn from their own softmax: the right temperature is 1."""
    generator = np.random.default_rng(seed)
    logits = (2 * generator.normal(size=(n, n_classes))).astype(np.float32)
    scores = np.exp(log_softmax(logits, axis=1))
    labels = (scores.cumsum(axis=1) < generator.random(n)[:, None]).sum(axis=1)
    return logits, np.minimum(labels, n_classes - 1)


def loss_at(temperature: float, logits: np.ndarray, labels: np.ndarray) -> float:
    scores = np.exp(log_softmax(logits.astype(np.float64) / temperature, axis=1))
    return float(log_loss(labels, scores, labels=range(logits.shape[1])))


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), inverse=st.floats(0.1, 2))
def test_the_slope_is_that_of_scikit_learns_loss(seed: int, inverse: float) -> None:
    logits, labels = noisy_logits(20, 3, seed)
    made = loss_slope([logits[:7], logits[7:]], labels, inverse)
    near = [loss_at(1 / (inverse + step), logits, labels) for step in (-1e-4, 1e-4)]
    assert made == pytest.approx((near[1] - near[0]) / 2e-4, abs=1e-4)


@pytest.mark.parametrize("factor", [0.005, 0.2, 1.0, 4.0, 300.0])
def test_the_temperature_that_was_put_in_is_found(factor: float) -> None:
    logits, labels = noisy_logits(20_000, 5, 0)
    made = fit_temperature([(logits * factor).astype(np.float32)], labels)
    assert made == pytest.approx(factor, rel=0.05)


def test_no_other_temperature_has_a_lower_loss() -> None:
    logits, labels = noisy_logits(200, 4, 1)
    best = fit_temperature([logits], labels)
    assert best is not None
    least = loss_at(best, logits, labels)
    assert all(loss_at(t, logits, labels) >= least for t in np.geomspace(0.3, 40, 200))


def test_without_mistakes_no_temperature_is_best() -> None:
    logits = 3 * np.eye(4, dtype=np.float32)
    assert fit_temperature([logits], np.arange(4)) is None
    assert fit_temperature([logits], np.arange(4)[::-1]) is None


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), inverse=st.floats(0.1, 2), doubt=st.floats(0.01, 0.5))
def test_doubt_is_a_target_that_others_share(seed: int, inverse: float, doubt: float) -> None:
    logits, labels = noisy_logits(12, 4, seed)
    target = np.full(logits.shape, doubt / 3)
    target[np.arange(12), labels] = 1 - doubt

    def loss(inverse: float) -> float:
        return float(-(target * log_softmax(inverse * logits.astype(float), axis=1)).sum() / 12)

    slope = (loss(inverse + 1e-4) - loss(inverse - 1e-4)) / 2e-4
    assert loss_slope([logits[:5], logits[5:]], labels, inverse, doubt) == pytest.approx(
        slope, abs=1e-4
    )


@pytest.mark.parametrize("n_images", [5, 50, 500])
def test_ten_of_ten_right_are_not_certain(n_images: int) -> None:
    """The mean score is then Laplace's: one more right than seen of two more."""
    labels = np.arange(n_images) % 4
    logits = 0.1 * np.eye(4, dtype=np.float32)[labels]
    temperature = fit_temperature([logits], labels, doubt=platt_doubt(n_images))
    assert temperature is not None
    score = np.exp(log_softmax(logits / temperature, axis=1))[np.arange(n_images), labels]
    assert score.mean() == pytest.approx((n_images + 1) / (n_images + 2), abs=1e-6)
