"""A head behind a network that OpenVINO runs computes what it computes in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from retrain_cli.engine import openvino_core
from retrain_cli.exporting.writers.openvino_head import with_head
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.activations import ACTIVATIONS
from retrain_cli.heads.layered.body import Body, DenseLayer, Scaling

RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RANDOM.standard_normal(shape, dtype=np.float32)


BODIES: dict[str, Body] = {
    "plain": Body(),
    "all": Body(True, Scaling(normal(12), np.abs(normal(12)) + np.float32(1)), (), "relu", True),
    **{
        name: Body(hidden=(DenseLayer(normal(12, 5), normal(5)),), activation=name)
        for name in ACTIVATIONS
    },
}


@pytest.mark.parametrize("name", BODIES)
def test_scores_are_those_of_the_head(name: str) -> None:
    body = BODIES[name]
    images = ops.parameter([-1, 2, 2, 3], np.uint8)
    flat = ops.reshape(ops.convert(images, "f32"), np.array([0, 12]), True)
    network = openvino.Model([ops.subtract(flat, np.float32(100))], [images])
    head = Head(("a", "b"), normal(5 if body.hidden else 12, 2), normal(2), body)
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino_core().compile_model(with_head(network, head), "CPU", hints)
    pixels = RANDOM.integers(0, 256, (4, 2, 2, 3), np.uint8)
    pixels[0] = 100  # a vector of zeros
    vectors = pixels.reshape(4, 12).astype(np.float32) - 100
    np.testing.assert_allclose(compiled([pixels])[0], head.probabilities(vectors), atol=1e-5)
