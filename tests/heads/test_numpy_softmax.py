"""Training in NumPy gives what training on the engine gives, but for rounding."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from retrain_cli.heads import numpy_softmax
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.numpy_softmax import MOST_WEIGHTS, suits_numpy
from retrain_cli.heads.training import train_head

CONFIG = TrainingConfig(steps=250, eval_every=50, batch_size=16, seed=3)


def make_data(width: int = 12) -> HeadData:
    generator = np.random.default_rng(5)
    labels = np.repeat(np.arange(4, dtype=np.int32), 20)
    centres = generator.random((4, width))
    vectors = (centres[labels] + 0.4 * generator.random((80, width))).astype(np.float32)
    rows = np.arange(80)
    names = ("ant", "bee", "cat", "dog")
    return HeadData(vectors, labels, names, training=rows[rows % 4 > 0], validation=rows[::4])


@pytest.mark.parametrize("l2", [None, 0.01])
@pytest.mark.parametrize("epsilon", [0.1, 1e-7])
def test_the_head_and_its_history_are_those_of_the_engine(l2: float | None, epsilon: float) -> None:
    config = replace(CONFIG, l2=l2, epsilon=epsilon)
    alone, beside = (train_head(make_data(), config, alone=alone) for alone in (True, False))
    assert_allclose(alone.head.weights, beside.head.weights, atol=2e-5)
    assert_allclose(alone.head.bias, beside.head.bias, atol=2e-5)
    assert (alone.best_step, alone.stopped_by) == (beside.best_step, beside.stopped_by)
    for ours, theirs in zip(alone.history, beside.history, strict=True):
        assert ours.step == theirs.step
        assert_allclose(ours.loss, theirs.loss, rtol=1e-4)
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-4)


def test_training_goes_on_from_a_head_as_on_the_engine() -> None:
    head = train_head(make_data(), CONFIG).head
    settings = replace(CONFIG, steps=20, learning_rate=0.001)
    alone, beside = (
        train_head(make_data(), settings, initial=head, alone=alone) for alone in (True, False)
    )
    assert_allclose(alone.head.weights, beside.head.weights, atol=2e-5)


def test_small_heads_are_trained_without_an_engine() -> None:
    program = (
        "import sys; sys.path.insert(0, 'tests/heads')\n"
        "from test_numpy_softmax import CONFIG, make_data\n"
        "from retrain_cli.heads.training import train_head\n"
        "train_head(make_data(), CONFIG)\n"
        "print([name for name in ('keras', 'tensorflow') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


def test_what_suits_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_softmax, "may_have_gpu", lambda: False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    small = Head.initial(("ant", "bee"), 8, 0)
    large = Head.initial(tuple(map(str, range(100))), MOST_WEIGHTS // 100 + 1, 0)
    assert suits_numpy(CONFIG, small)
    assert not suits_numpy(CONFIG, large)
    assert not suits_numpy(replace(CONFIG, optimizer="sgd"), small)
    monkeypatch.setattr(numpy_softmax, "may_have_gpu", lambda: True)
    assert not suits_numpy(CONFIG, small)
    monkeypatch.setattr(numpy_softmax, "may_have_gpu", lambda: False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert not suits_numpy(CONFIG, small)
