"""A head around one photo: its logit as a weighted sum of the numbers of the bottleneck."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.activations import activate, slope
from retrain_cli.heads.layered.body import Body, of_unit_length

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Slopes:
    """For each photo `logit = bottleneck @ weights + bias`, exactly.

    Attributes:
        weights: `(n, width) float32`.
        bias: `(n,) float64`.
        logits: `(n,) float64`.
    """

    weights: FloatArray
    bias: NDArray[np.float64]
    logits: NDArray[np.float64]

    def less(self, other: Slopes) -> Slopes:
        """What speaks for this and not for the other one: the same of the difference of logits."""
        return Slopes(
            self.weights - other.weights, self.bias - other.bias, self.logits - other.logits
        )


def slopes_of(head: Head, bottlenecks: FloatArray, classes: NDArray[np.integer]) -> Slopes:
    """The weighted sum behind the logit of one class of each photo.

    Of a softmax head these are its weights and its bias. What is divided by its length is taken to
    be of that length; hidden layers are taken as they answer to this photo: with relu, which is
    linear piece by piece, the sum says all that they do; with another activation it is their
    derivative, and what is bent goes into the bias.

    Args:
        head: the head.
        bottlenecks: `(n, width) float32`.
        classes: `(n,)`, of each photo the class.
    """
    weights = head.weights.T[classes].astype(np.float32)
    body = head.body
    sums = _sums(body, bottlenecks)
    if body.cosine:
        weights = weights / _lengths(_last(body, bottlenecks, sums))
    for layer, of_layer in zip(reversed(body.hidden), reversed(sums), strict=True):
        weights = (weights * slope(np, body.activation, of_layer)) @ layer.weights.T
    if body.scaling is not None:
        weights = weights / body.scaling.deviation
    if body.unit_length:
        weights = weights / _lengths(bottlenecks)
    logits = head.logits(bottlenecks)[np.arange(len(classes)), classes].astype(np.float64)
    sum_of = (bottlenecks.astype(np.float64) * weights).sum(axis=1)
    return Slopes(weights.astype(np.float32), logits - sum_of, logits)


def _sums(body: Body, bottlenecks: FloatArray) -> list[FloatArray]:
    """What each hidden layer adds up, before its activation."""
    vectors = _scaled(body, bottlenecks)
    found = []
    for layer in body.hidden:
        found.append(vectors @ layer.weights + layer.bias)
        vectors = activate(np, body.activation, found[-1])
    return found


def _last(body: Body, bottlenecks: FloatArray, sums: list[FloatArray]) -> FloatArray:
    """What the body gives before it is divided by its length."""
    last: FloatArray = (
        activate(np, body.activation, sums[-1]) if sums else _scaled(body, bottlenecks)
    )
    return last


def _scaled(body: Body, bottlenecks: FloatArray) -> FloatArray:
    vectors = of_unit_length(bottlenecks) if body.unit_length else bottlenecks
    return vectors if body.scaling is None else body.scaling(vectors)


def _lengths(vectors: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 0, lengths, 1), np.float32)
