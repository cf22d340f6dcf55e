"""A head as operations of OpenVINO, behind a network that OpenVINO runs already."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrain_cli.engine import load_openvino
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.activations import Activation


def with_head(model: Any, head: Head) -> Any:
    """A model from pixels to scores, of one from pixels to bottlenecks.

    Args:
        model: `(n, height, width, 3) uint8` to `(n, width) float32`.
        head: the head that answers, calibrated where the run is.
    """
    openvino = load_openvino()
    from openvino import opset13 as ops

    vectors = model.output(0).get_node().input_value(0)
    body = head.body
    if body.unit_length:
        vectors = _unit_length(ops, vectors)
    if body.scaling is not None:
        centred = ops.subtract(vectors, ops.constant(body.scaling.mean))
        vectors = ops.divide(centred, ops.constant(body.scaling.deviation))
    for layer in body.hidden:
        sums = _dense(ops, vectors, layer.weights, layer.bias)
        vectors = _activate(ops, body.activation, sums)
    if body.cosine:
        vectors = _unit_length(ops, vectors)
    scores = ops.softmax(_dense(ops, vectors, head.weights, head.bias), 1)
    return openvino.Model([scores], model.get_parameters(), "retrain")


def _dense(ops: Any, vectors: Any, weights: Any, bias: Any) -> Any:
    product = ops.matmul(vectors, ops.constant(np.ascontiguousarray(weights)), False, False)
    return ops.add(product, ops.constant(bias))


def _activate(ops: Any, name: Activation, sums: Any) -> Any:
    if name == "gelu":
        return ops.gelu(sums, "tanh")
    return getattr(ops, name)(sums)


def _unit_length(ops: Any, vectors: Any) -> Any:
    """Each row divided by its length; a row of zeros stays, as in `body.of_unit_length`."""
    squares = ops.reduce_sum(ops.multiply(vectors, vectors), np.array([1]), keep_dims=True)
    is_zero = ops.convert(ops.equal(squares, np.float32(0)), "f32")
    return ops.divide(vectors, ops.add(ops.sqrt(squares), is_zero))
