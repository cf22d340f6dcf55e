"""ONNX files that tests make: a convolution, tokens or a vector, with weights of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

SIDE = 8
CHANNELS = 5
_STRIDE = 2
KERNEL: NDArray[np.float32] = (
    np.random.default_rng(3).normal(size=(CHANNELS, 3, _STRIDE, _STRIDE)).astype(np.float32)
)


def convolve(images: NDArray[Any]) -> NDArray[np.float64]:
    """What `map_nodes` computes, in NumPy: (n, 8, 8, 3) to (n, 5, 4, 4)."""
    count, half = len(images), SIDE // _STRIDE
    blocks = images.astype(np.float64).reshape(count, half, _STRIDE, half, _STRIDE, 3)
    return np.asarray(np.einsum("nhywxc,ocyx->nohw", blocks, KERNEL.astype(np.float64)))


def map_nodes(source: str = "pixels") -> list[Any]:
    """A map of 5 channels: (n, 3, 8, 8) to (n, 5, 4, 4)."""
    return [helper.make_node("Conv", [source, "kernel"], ["map"], strides=[_STRIDE, _STRIDE])]


def make_onnx(  # a file has that many parts
    path: Path,
    nodes: Sequence[Any] | None = None,
    outputs: Mapping[str, Any] | None = None,
    *,
    shape: Sequence[Any] = ("n", 3, SIDE, SIDE),
    kind: int = TensorProto.FLOAT,
    inputs: Mapping[str, Sequence[Any]] | None = None,
    metadata: Mapping[str, str] | None = None,
    weights: Mapping[str, NDArray[Any]] | None = None,
) -> Path:
    """Write a network of one input `pixels`, the convolution if no other nodes are given."""
    taken = {"pixels": shape} if inputs is None else inputs
    given: Mapping[str, Any] = (
        {"map": ["n", CHANNELS, SIDE // 2, SIDE // 2]} if outputs is None else outputs
    )
    held = {"kernel": KERNEL, **(weights or {})}
    graph = helper.make_graph(
        map_nodes() if nodes is None else list(nodes),
        "network",
        [helper.make_tensor_value_info(name, kind, axes) for name, axes in taken.items()],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, axes)
            for name, axes in given.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in held.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save(model, str(path))
    return path


def noise(count: int = 3, side: int = SIDE) -> NDArray[np.uint8]:
    """Images that are no picture of anything."""
    return np.random.default_rng(7).integers(0, 256, (count, side, side, 3), np.uint8)
