"""The fused Adam is Keras's Adam, up to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from retrain_cli.engine import load_keras
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.fused_adam import FusedAdam
from retrain_cli.heads.softmax import make_optimizer


@pytest.mark.parametrize("epsilon", [0.1, 1e-7])
def test_it_steps_as_keras_does(epsilon: float) -> None:
    keras = load_keras()
    if keras.backend.backend() != "tensorflow":
        pytest.skip("other engines fuse Adam on their own")
    generator = np.random.default_rng(0)
    start = [generator.normal(size=shape).astype(np.float32) for shape in ((7, 3), (3,))]

    def run(optimizer: Any) -> list[np.ndarray]:
        variables = [keras.Variable(value, trainable=False) for value in start]
        draws = np.random.default_rng(1)
        optimizer.build(variables)
        for _ in range(50):
            gradients = [draws.normal(size=v.shape).astype(np.float32) for v in start]
            optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
        return [np.array(variable.numpy()) for variable in variables]

    def settings() -> object:
        return keras.optimizers.Adam(learning_rate=0.03, epsilon=epsilon)

    for ours, theirs in zip(run(FusedAdam(settings())), run(settings()), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


def test_it_is_taken_for_adam_on_tensorflow_alone() -> None:
    is_tensorflow = load_keras().backend.backend() == "tensorflow"
    assert isinstance(make_optimizer(TrainingConfig()), FusedAdam) is is_tensorflow
    assert not isinstance(make_optimizer(TrainingConfig(optimizer="nadam")), FusedAdam)
