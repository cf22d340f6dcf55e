"""A Keras model as one compiled JAX program, its batches spread over several devices."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


class JaxForward:
    """Data parallelism: every device holds the weights and computes its share of each batch.

    It may be called from several threads: while one batch is computed, the next one travels to the
    devices. One program is compiled per batch shape.
    """

    def __init__(self, model: Any, devices: Sequence[str]) -> None:
        """Copy the weights of `model` to `devices`, such as ("gpu:0", "gpu:1")."""
        jax: Any = import_module("jax")
        self._jax, self._count = jax, len(devices)
        mesh = jax.sharding.Mesh(np.asarray([_find(jax, name) for name in devices]), ("images",))
        spec = jax.sharding.PartitionSpec
        self._share = jax.sharding.NamedSharding(mesh, spec("images"))
        variables = (model.trainable_variables, model.non_trainable_variables)
        # Copies, for Keras's own `predict` gives away the memory of the model's.
        self._weights = jax.device_put(
            [[jax.numpy.array(variable.value) for variable in group] for group in variables],
            jax.sharding.NamedSharding(mesh, spec()),
        )
        self._run = jax.jit(
            lambda weights, images: model.stateless_call(*weights, images, training=False)[0]
        )

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        missing = -len(images) % self._count  # each device takes as many
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), np.uint8)])
        vectors = self._run(self._weights, self._jax.device_put(images, self._share))
        return np.asarray(vectors, np.float32)[: len(images) - missing]


def _find(jax: Any, name: str) -> Any:
    """JAX's device of a Keras device name."""
    kind, _, number = name.partition(":")
    return next(device for device in jax.devices(kind) if device.id == int(number))


def describe(devices: Sequence[str]) -> str:
    """Several devices in a few letters: gpu:0, or gpu:0-3."""
    last = devices[-1].partition(":")[2]
    return devices[0] if len(devices) == 1 else f"{devices[0]}-{last}"
