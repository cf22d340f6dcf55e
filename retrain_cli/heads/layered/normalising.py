"""`--normalise`: what bottlenecks go through before a head is trained on them.

A head is trained on normalised vectors, and answers about bottlenecks as they are. Standardising is
linear: `(x - mean) / deviation @ W + b` is `x @ W' + b'` with other weights and biases, exactly, so
that it becomes part of the first layer and costs nothing afterwards. Length one is not linear, and
stays with the head; so does standardising in front of cosines, which a layer does not follow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.body import Body, DenseLayer, Scaling, of_unit_length
from retrain_cli.heads.rows import check_finite, read_rows

FloatArray = NDArray[np.float32]

_CHUNK_VALUES = 8_000_000


class Normaliser(Protocol):
    """What vectors go through before training, and what becomes of that in the head."""

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """The normalised vectors, `(n_images, width) float32`, as an array of their own."""

    def outer(self, head: Head) -> Head:
        """The head of bottlenecks that says what this one says of normalised vectors."""

    def inner(self, head: Head) -> Head:
        """The inverse of `outer`."""


@dataclass(frozen=True)
class UnitLength:
    """Bottlenecks of equal length, whatever their own was.

    Training sees them as long as training bottlenecks are in the mean, so that learning rate and
    weight decay mean what they mean without; the first layer takes the factor in, and the head
    takes vectors of length one.

    Attributes:
        length: that mean, above 0.
    """

    length: float

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """See `Normaliser`."""
        result = of_unit_length(vectors)
        result *= np.float32(self.length)
        return result

    def outer(self, head: Head) -> Head:
        """See `Normaliser`."""
        longer = _with_first(head, *_scaled(head, self.length))
        return replace(longer, body=replace(longer.body, unit_length=True))

    def inner(self, head: Head) -> Head:
        """See `Normaliser`."""
        shorter = _with_first(head, *_scaled(head, 1 / self.length))
        return replace(shorter, body=replace(shorter.body, unit_length=False))


@dataclass(frozen=True, eq=False)
class Standardise:
    """Each number of a bottleneck with mean 0 and deviation 1 over the training photos.

    Attributes:
        scaling: mean and deviation.
    """

    scaling: Scaling

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """See `Normaliser`."""
        return self.scaling(vectors)

    def outer(self, head: Head) -> Head:
        """See `Normaliser`."""
        if _starts_with_cosines(head.body):
            return replace(head, body=replace(head.body, scaling=self.scaling))
        return _with_first(head, *fold_scaling(*_first(head), self.scaling))

    def inner(self, head: Head) -> Head:
        """See `Normaliser`."""
        if _starts_with_cosines(head.body):
            return replace(head, body=replace(head.body, scaling=None))
        return _with_first(head, *unfold_scaling(*_first(head), self.scaling))


def fold_scaling(
    weights: FloatArray, bias: FloatArray, scaling: Scaling
) -> tuple[FloatArray, FloatArray]:
    """Weights and biases that do to vectors what these do to scaled ones.

    Args:
        weights: `(width, units) float32`.
        bias: `(units,) float32`.
        scaling: of `width` numbers.
    """
    inside = weights / scaling.deviation.astype(np.float64)[:, None]
    moved = bias - scaling.mean.astype(np.float64) @ inside
    return inside.astype(np.float32), moved.astype(np.float32)


def unfold_scaling(
    weights: FloatArray, bias: FloatArray, scaling: Scaling
) -> tuple[FloatArray, FloatArray]:
    """The inverse of `fold_scaling`."""
    moved = bias + scaling.mean.astype(np.float64) @ weights
    outside = weights * scaling.deviation.astype(np.float64)[:, None]
    return outside.astype(np.float32), moved.astype(np.float32)


def make_normaliser(
    data: HeadData, config: TrainingConfig, initial: Head | None
) -> Normaliser | None:
    """What the settings ask for, fitted to the training rows; None where that is nothing.

    Several layers side by side are brought to one scale in any case. A head that carries its
    scaling goes on with it.

    Args:
        data: what to train on.
        config: the training settings.
        initial: the head to continue from, or None.

    Raises:
        ConfigError: one length is asked for of several layers side by side.
        RunError: the bottlenecks are not finite.
    """
    has_several = len(data.layer_widths) > 1
    if config.normalise == "none" and not has_several:
        return None
    if config.normalise == "l2" and has_several:
        raise ConfigError(
            f"{setting('normalise', 'l2')} gives a bottleneck one length, and in several layers "
            f"side by side the largest would be all of it: leave out {setting('normalise')}, for "
            "they are brought to one scale anyway"
        )
    if config.normalise == "l2":
        return UnitLength(_mean_length(data))
    if initial is not None and initial.body.scaling is not None:
        return Standardise(initial.body.scaling)
    is_each = config.normalise == "standardise"
    return Standardise(fit_scaling(data) if is_each else fit_layer_scaling(data))


def fit_scaling(data: HeadData) -> Scaling:
    """Mean and deviation of the training rows, as scikit-learn's StandardScaler has them.

    What does not vary but for rounding is only moved to 0.
    """
    mean, variance = _mean_and_variance(data)
    deviation = np.sqrt(np.where(variance > 0, variance, 1.0))
    return Scaling(mean.astype(np.float32), deviation.astype(np.float32))


def fit_layer_scaling(data: HeadData) -> Scaling:
    """The mean of each number, and one deviation a layer: the root of its numbers' mean variance.

    What one layer gives is as large as its network happens to make it. What varies more within a
    layer stays larger, for it was found to tell more. A layer that does not vary is only moved.
    """
    mean, variance = _mean_and_variance(data)
    ends = np.cumsum(data.layer_widths)[:-1]
    each = [float(part.mean()) for part in np.split(variance, ends)]
    deviation = np.sqrt(np.repeat([one or 1.0 for one in each], data.layer_widths))
    return Scaling(mean.astype(np.float32), deviation.astype(np.float32))


def _mean_and_variance(data: HeadData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each number over the training rows; a variance that is but rounding is 0."""
    width, n_rows = data.width, len(data.training)
    origin = read_rows(data.bottlenecks, data.training[:1])[0].astype(np.float64)
    total, squares = np.zeros(width), np.zeros(width)
    for vectors in _chunks(data):
        moved = vectors - origin
        total += moved.sum(axis=0)
        squares += np.square(moved).sum(axis=0)
    moved_mean = total / n_rows
    mean, variance = origin + moved_mean, squares / n_rows - np.square(moved_mean)
    rounding = n_rows * np.finfo(np.float64).eps
    varies = variance > rounding * variance + np.square(rounding * mean)
    return mean, np.where(varies, variance, 0.0)


def _mean_length(data: HeadData) -> float:
    total = sum(float(np.linalg.norm(one, axis=1).sum(dtype=np.float64)) for one in _chunks(data))
    return total / len(data.training) if total > 0 else 1.0


def _chunks(data: HeadData) -> Iterator[FloatArray]:
    size = max(1, _CHUNK_VALUES // data.width)
    for start in range(0, len(data.training), size):
        vectors = read_rows(data.bottlenecks, data.training[start : start + size])
        check_finite(vectors)
        yield vectors


def _starts_with_cosines(body: Body) -> bool:
    return body.cosine and not body.hidden


def _first(head: Head) -> tuple[FloatArray, FloatArray]:
    """Weights and biases of the layer that bottlenecks come to first."""
    if head.body.hidden:
        return head.body.hidden[0].weights, head.body.hidden[0].bias
    return head.weights, head.bias


def _scaled(head: Head, factor: float) -> tuple[FloatArray, FloatArray]:
    """The first layer with its weights multiplied, unless length counts for nothing there."""
    weights, bias = _first(head)
    return weights if _starts_with_cosines(head.body) else weights * np.float32(factor), bias


def _with_first(head: Head, weights: FloatArray, bias: FloatArray) -> Head:
    if not head.body.hidden:
        return replace(head, weights=weights, bias=bias)
    hidden = (DenseLayer(weights, bias), *head.body.hidden[1:])
    return replace(head, body=replace(head.body, hidden=hidden))
