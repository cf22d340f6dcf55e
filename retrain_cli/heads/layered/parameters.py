"""A head of several layers as the list of its parameters, and back; see `Backprop`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, RunError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.body import Body, DenseLayer
from retrain_cli.heads.memory import available_memory

FloatArray = NDArray[np.float32]

_COPIES = 5  # weights, gradients, two moments of Adam, and the best so far
_FIRST_SCALE = 10.0  # of cosines: at 1 no score could come near certainty


def initial_head(labels: tuple[str, ...], width: int, config: TrainingConfig) -> Head:
    """An untrained head of the settings; equal arguments give equal weights.

    Without hidden layers and cosines it is `Head.initial`. Hidden layers, and what follows them,
    start as Keras's Dense does: X. Glorot and Y. Bengio, AISTATS 2010, uniform; zero biases.

    Raises:
        ConfigError: the hidden layers take more memory than there is.
    """
    cosine = config.head == "cosine"
    if not config.hidden and not cosine:
        return Head.initial(labels, width, config.seed)
    _check_memory((width, *config.hidden, len(labels)))
    generator = np.random.default_rng([config.seed, 0x1A7E])
    layers = []
    for units in config.hidden:
        layers.append(DenseLayer(_glorot(generator, width, units), np.zeros(units, np.float32)))
        width = units
    weights = _glorot(generator, width, len(labels))
    if cosine:
        weights *= np.float32(_FIRST_SCALE) / np.linalg.norm(weights, axis=0)
    body = Body(hidden=tuple(layers), activation=config.activation, cosine=cosine)
    return Head(labels, weights, np.zeros(len(labels), np.float32), body)


def _check_memory(widths: Sequence[int]) -> None:
    needed = _COPIES * 4 * sum(below * above for below, above in pairwise(widths))
    available = available_memory()
    if needed > available:
        raise ConfigError(
            f"{setting('hidden')} takes layers that memory holds, and these need "
            f"{needed / 2**30:.1f} GB of the {available / 2**30:.1f} GB that there are: "
            "take fewer units"
        )


def _glorot(generator: np.random.Generator, incoming: int, outgoing: int) -> FloatArray:
    limit = np.float32(np.sqrt(6 / (incoming + outgoing)))
    weights = generator.random((incoming, outgoing), dtype=np.float32)
    weights *= 2 * limit
    weights -= limit
    return weights


def check_same_make(head: Head, config: TrainingConfig) -> None:
    """Refuse to continue a head with settings that make another kind.

    Standardising that became part of the weights leaves no trace, and may come or go.

    Raises:
        RunError: they differ.
    """
    body = head.body
    has = tuple(len(layer.bias) for layer in body.hidden)
    same = (
        has == config.hidden
        and (not has or body.activation == config.activation)
        and body.unit_length == (config.normalise == "l2")
        and body.cosine == (config.head == "cosine")
        and (body.scaling is None or config.normalise == "standardise")
    )
    if not same:
        raise RunError(
            f"a head is continued as it is made, and that of {setting('init_from')} has "
            f"{_make(body)}: give the same, or train without {setting('init_from')}"
        )


def _make(body: Body) -> str:
    """The options that make such a head, in words."""
    parts = [setting("head", "cosine")] if body.cosine else []
    if body.hidden:
        units = ",".join(str(len(layer.bias)) for layer in body.hidden)
        parts += [setting("hidden", units), setting("activation", body.activation)]
    if body.unit_length:
        parts.append(setting("normalise", "l2"))
    if body.scaling is not None:
        parts.append(setting("normalise", "standardise"))
    if parts:
        return ", ".join(parts)
    return f"neither {setting('hidden')} nor {setting('head', 'cosine')} or l2"


def parameters_of(head: Head) -> list[FloatArray]:
    """The parameters of a head, copies of their own."""
    layers = [array for layer in head.body.hidden for array in (layer.weights, layer.bias)]
    last = [head.weights, head.bias]
    if head.body.cosine:
        scale = np.float32(np.linalg.norm(head.weights, axis=0).mean())
        last = [head.weights / scale, np.array([scale], np.float32)]
    return [np.array(one, np.float32) for one in (*layers, *last)]


def head_of(start: Head, parameters: Sequence[FloatArray]) -> Head:
    """The head of these parameters, otherwise made like the one that training started from."""
    *layers, weights, last = parameters
    hidden = tuple(DenseLayer(*pair) for pair in zip(layers[::2], layers[1::2], strict=True))
    body = Body(hidden=hidden, activation=start.body.activation, cosine=start.body.cosine)
    if not body.cosine:
        return Head(start.labels, weights, last, body)
    columns = weights / np.sqrt(np.square(weights).sum(axis=0) + np.float32(1e-12))
    return Head(start.labels, columns * last, np.zeros(len(start.labels), np.float32), body)


def n_weights(parameters: Sequence[FloatArray]) -> int:
    """Number of weights, biases left out."""
    return sum(one.size for one in parameters[::2])
