"""The activation functions of hidden layers and their slopes, for NumPy and for every engine.

`ops` is what computes: `numpy` or `keras.ops`, which name these functions alike. gelu is in its
tanh form: D. Hendrycks and K. Gimpel, "Gaussian error linear units", 2016; it differs from the
exact one by at most 0.0005, and needs no error function, which NumPy does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

Activation = Literal["relu", "sigmoid", "tanh", "gelu"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)

Tensor = Any
Function = Callable[[Any, Tensor], Tensor]

_ROOT = math.sqrt(2 / math.pi)
_CUBIC = 0.044715
_ONE, _ZERO = np.float32(1), np.float32(0)


def activate(ops: Any, name: Activation, sums: Tensor) -> Tensor:
    """The activation of the weighted sums of a layer, number by number."""
    return _FUNCTIONS[name][0](ops, sums)


def slope(ops: Any, name: Activation, sums: Tensor) -> Tensor:
    """The derivative of `activate` at the weighted sums; of relu at 0 it is 0."""
    return _FUNCTIONS[name][1](ops, sums)


def _relu(ops: Any, sums: Tensor) -> Tensor:
    return ops.maximum(sums, _ZERO)


def _relu_slope(ops: Any, sums: Tensor) -> Tensor:
    return ops.where(ops.greater(sums, _ZERO), _ONE, _ZERO)


def _sigmoid(ops: Any, sums: Tensor) -> Tensor:
    return 0.5 * ops.tanh(0.5 * sums) + 0.5  # no exponential that overflows


def _sigmoid_slope(ops: Any, sums: Tensor) -> Tensor:
    value = _sigmoid(ops, sums)
    return value * (1 - value)


def _tanh(ops: Any, sums: Tensor) -> Tensor:
    return ops.tanh(sums)


def _tanh_slope(ops: Any, sums: Tensor) -> Tensor:
    return 1 - ops.square(ops.tanh(sums))


def _gelu(ops: Any, sums: Tensor) -> Tensor:
    return 0.5 * sums * (1 + ops.tanh(_ROOT * (sums + _CUBIC * ops.square(sums) * sums)))


def _gelu_slope(ops: Any, sums: Tensor) -> Tensor:
    squares = ops.square(sums)
    bent = ops.tanh(_ROOT * (sums + _CUBIC * squares * sums))
    inner = _ROOT * (1 + 3 * _CUBIC * squares)
    return 0.5 * (1 + bent) + 0.5 * sums * (1 - ops.square(bent)) * inner


_FUNCTIONS: dict[Activation, tuple[Function, Function]] = {
    "relu": (_relu, _relu_slope),
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "tanh": (_tanh, _tanh_slope),
    "gelu": (_gelu, _gelu_slope),
}
