from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_class_weight
from uneven_classes import uneven

from retrain_cli.heads import training
from retrain_cli.heads.balancing.class_weights import balanced_class_weights
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.training import train_head


@given(sizes=st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_they_are_those_of_scikit_learn(sizes: list[int]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    oracle = compute_class_weight("balanced", classes=np.arange(len(sizes)), y=labels)
    assert balanced_class_weights(labels, len(sizes)) == pytest.approx(oracle, rel=1e-6)


def test_lbfgs_finds_the_minimum_of_scikit_learns_weighted_loss() -> None:
    data = uneven(30, 6, 4)
    config = TrainingConfig(optimizer="lbfgs", balance="weights", l2=0.01, steps=500)
    head = train_head(data, config).head
    vectors, labels = data.bottlenecks[data.training], data.labels[data.training]
    oracle = LogisticRegression(
        C=1 / (0.01 * len(labels)), class_weight="balanced", tol=1e-8, max_iter=2000
    ).fit(vectors, labels)
    expected = oracle.predict_proba(data.bottlenecks)
    assert head.probabilities(data.bottlenecks) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_the_engine_weighs_as_numpy_does(hidden: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data = uneven(30, 6, 4)
    config = TrainingConfig(balance="weights", steps=40, eval_every=10, batch_size=8, hidden=hidden)
    in_numpy = train_head(data, config)
    monkeypatch.setattr(training, "suits_numpy", lambda *_: False)
    on_engine = train_head(data, config)
    assert on_engine.head.weights == pytest.approx(in_numpy.head.weights, abs=1e-4)
    assert on_engine.history[-1].loss == pytest.approx(in_numpy.history[-1].loss, abs=1e-4)
    plain = train_head(data, replace(config, balance="none"))
    assert plain.head.weights != pytest.approx(on_engine.head.weights, abs=1e-3)


def test_a_step_of_all_images_is_down_the_weighted_gradient() -> None:
    """One step of plain gradient descent, by hand."""
    data = replace(uneven(8, 2), validation=np.empty(0, np.int64))
    config = TrainingConfig(
        optimizer="sgd", balance="weights", steps=1, batch_size=10, learning_rate=1.0
    )
    before = train_head(data, replace(config, learning_rate=1e-9)).head
    after = train_head(data, config).head
    vectors, labels = data.bottlenecks[data.training], data.labels[data.training]
    weight = compute_class_weight("balanced", classes=np.arange(2), y=labels)[labels]
    error = (before.probabilities(vectors) - np.eye(2)[labels]) * weight[:, None]
    expected = before.weights - vectors.T @ error / len(labels)
    assert after.weights == pytest.approx(expected, abs=1e-4)
