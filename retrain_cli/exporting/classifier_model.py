"""Backbone and head as one Keras model: 8-bit RGB pixels in, calibrated scores out."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrain_cli.engine import float32_by_default, load_keras, on_device, quiet_engine
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.activations import Activation
from retrain_cli.heads.layered.body import Body


def build_classifier(backbone: Any, head: Head) -> Any:
    """A Keras model `(n, height, width, 3) uint8` -> `(n, n_classes) float32`.

    Args:
        backbone: a Keras model from pixels to bottlenecks; it becomes part of the result.
        head: the head that answers, calibrated where the run is; what it does in NumPy is done here
            by layers with the same weights.
    """
    keras = load_keras()
    with on_device("cpu:0"), quiet_engine(), float32_by_default():
        features = _add_body(keras, backbone.output, head.body)
        logits = _dense(keras, features, head.weights, head.bias, "logits")
        scores = keras.layers.Softmax(dtype="float32", name="scores")(logits)
        return keras.Model(backbone.input, scores, name="retrain")


def _add_body(keras: Any, vectors: Any, body: Body) -> Any:
    """What bottlenecks go through before the last layer; see `Body.features`."""
    if body.unit_length:
        vectors = _unit_length(keras, vectors)
    if body.scaling is not None:
        # Without gamma, beta and epsilon it is just that: less the mean, by the deviation.
        scale = keras.layers.BatchNormalization(
            center=False, scale=False, epsilon=0.0, dtype="float32", name="standardise"
        )
        vectors = scale(vectors)
        deviation = body.scaling.deviation.astype(np.float64)
        scale.set_weights([body.scaling.mean, np.square(deviation).astype(np.float32)])
    for number, layer in enumerate(body.hidden, 1):
        sums = _dense(keras, vectors, layer.weights, layer.bias, f"hidden_{number}")
        vectors = _activate(keras, body.activation, sums)
    return _unit_length(keras, vectors) if body.cosine else vectors


def _dense(keras: Any, vectors: Any, weights: Any, bias: Any, name: str) -> Any:
    layer = keras.layers.Dense(weights.shape[1], dtype="float32", name=name)
    sums = layer(vectors)
    layer.set_weights([weights, bias])
    return sums


def _activate(keras: Any, name: Activation, sums: Any) -> Any:
    if name == "gelu":
        return keras.ops.gelu(sums, approximate=True)
    return keras.layers.Activation(name, dtype="float32")(sums)


def _unit_length(keras: Any, vectors: Any) -> Any:
    """Each row divided by its length; a row of zeros stays, as in `body.of_unit_length`."""
    ops = keras.ops
    length = ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True))
    return vectors / (length + ops.cast(ops.equal(length, 0.0), "float32"))
