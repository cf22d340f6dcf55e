"""On JAX a batch is shared among all devices, and the vectors are those of a single one."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

from retrain_cli import engine
from retrain_cli.backbones.runtimes.jax_forward import describe

PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from retrain_cli.backbones.runtimes.keras_model import build_keras_backbone
from retrain_cli.backbones.spec import BackboneSpec
spec = BackboneSpec(name="mobilenet", alpha=0.25, weights="random", input_size=32,
                    precision="float32", runtime="keras").resolve()
one = build_keras_backbone(spec, "cpu:0")
four = build_keras_backbone(spec, "cpu:0", "cpu:1", "cpu:2", "cpu:3")
assert four.device == "cpu:0-3" and four.batches_at_once == 2
for count in (1, 4, 10):  # ten are not to be shared evenly
    images = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), np.uint8)
    expected = one.model.predict_on_batch(images)
    np.testing.assert_allclose(one(images), expected, atol=1e-5)
    np.testing.assert_allclose(four(images), expected, atol=1e-5)
    with ThreadPoolExecutor(4) as threads:
        for vectors in threads.map(four, [images] * 8):
            np.testing.assert_allclose(vectors, expected, atol=1e-5)
used = four._spread._run(four._spread._weights,
                         four._spread._jax.device_put(images[:8], four._spread._share))
assert len(used.sharding.device_set) == 4
"""


@pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")
def test_several_devices_compute_the_vectors_of_one() -> None:
    flags = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, env={**os.environ, **flags}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_devices_in_a_few_letters() -> None:
    assert describe(["cpu:0"]) == "cpu:0"
    assert describe(["gpu:0", "gpu:1", "gpu:2"]) == "gpu:0-2"


@pytest.mark.parametrize(
    ("wanted", "on", "expected"),
    [
        ("auto", "jax", ["gpu:0", "gpu:1"]),
        ("gpu", "jax", ["gpu:0", "gpu:1"]),
        ("gpu", "tensorflow", ["gpu:0"]),
        ("gpu:1", "jax", ["gpu:1"]),
        ("cpu", "jax", ["cpu:0"]),
    ],
)
def test_all_gpus_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch, wanted: str, on: str, expected: Any
) -> None:
    monkeypatch.setattr(engine, "list_gpus", lambda: ["gpu:0", "gpu:1"])
    keras = type("Keras", (), {"backend": type("Backend", (), {"backend": lambda: on})})
    monkeypatch.setattr(engine, "load_keras", lambda: keras)
    assert engine.choose_devices(wanted) == expected
