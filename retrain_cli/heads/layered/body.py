"""What bottlenecks go through in a head before its last layer; nothing in the study's head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.arrays import checked
from retrain_cli.heads.layered.activations import ACTIVATIONS, Activation, activate

FloatArray = NDArray[np.float32]

BODY_PREFIX = "body_"
"""How the names of a body's arrays begin in the file of a head."""

_FLAGS = ("unit_length", "cosine")


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """A hidden layer: weighted sums, then the activation of the body.

    Attributes:
        weights: `(incoming, units) float32`.
        bias: `(units,) float32`.
    """

    weights: FloatArray
    bias: FloatArray


@dataclass(frozen=True, eq=False)
class Scaling:
    """Each number of a bottleneck less its mean, divided by its deviation.

    Attributes:
        mean: `(width,) float32`.
        deviation: `(width,) float32`, above 0.
    """

    mean: FloatArray
    deviation: FloatArray

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """The scaled vectors, `(n_images, width) float32`, as an array of their own."""
        scaled: FloatArray = vectors - self.mean
        scaled /= self.deviation
        return scaled


@dataclass(frozen=True, eq=False)
class Body:
    """From bottlenecks to the features that the last layer takes, in the order of the attributes.

    Attributes:
        unit_length: each bottleneck is divided by its Euclidean length.
        scaling: each bottleneck is standardised; None where that is part of the weights, as it is
            wherever a layer comes next.
        hidden: dense layers, each followed by the activation.
        activation: their activation.
        cosine: the features are divided by their length. As the columns of the last layer are of
            one length then, its scores are cosines times that length.
    """

    unit_length: bool = False
    scaling: Scaling | None = None
    hidden: tuple[DenseLayer, ...] = ()
    activation: Activation = "relu"
    cosine: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the features are the bottlenecks themselves."""
        return not (self.unit_length or self.scaling or self.hidden or self.cosine)

    @property
    def widest(self) -> int:
        """Numbers of a photo in the widest hidden layer; 0 without any."""
        return max((len(layer.bias) for layer in self.hidden), default=0)

    def width_for(self, features: int) -> int:
        """Length of the bottlenecks where the last layer takes so many features."""
        return len(self.hidden[0].weights) if self.hidden else features

    def features(self, bottlenecks: FloatArray) -> FloatArray:
        """What the last layer takes, `(n_images, features) float32`; a plain body copies nothing.

        Args:
            bottlenecks: `(n_images, width) float32`.
        """
        vectors = np.asarray(bottlenecks, np.float32)
        if self.unit_length:
            vectors = of_unit_length(vectors)
        if self.scaling is not None:
            vectors = self.scaling(vectors)
        for layer in self.hidden:
            vectors = activate(np, self.activation, vectors @ layer.weights + layer.bias)
        return of_unit_length(vectors) if self.cosine else vectors

    def check(self, features: int) -> None:
        """Hold the shapes of all layers to each other; ValueError where they do not fit."""
        for layer in self.hidden:
            if layer.weights.ndim != 2 or layer.bias.shape != layer.weights.shape[1:]:
                raise ValueError(f"a hidden layer is of the shape {layer.weights.shape}")
        extents = [layer.weights.shape for layer in self.hidden]
        if any(below[1] != above[0] for below, above in pairwise([*extents, (features,)])):
            raise ValueError(f"its layers, of the shapes {extents}, do not fit one another")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As arrays of a head's file, by name; none for a plain body."""
        if self.is_plain:
            return {}
        flags = [name for name in _FLAGS if getattr(self, name)]
        found = {"flags": np.array(flags, "U"), "activation": np.array(self.activation)}
        if self.scaling is not None:
            found |= {"mean": self.scaling.mean, "deviation": self.scaling.deviation}
        for number, layer in enumerate(self.hidden, 1):
            found |= {f"weights_{number}": layer.weights, f"bias_{number}": layer.bias}
        return {BODY_PREFIX + name: array for name, array in found.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], features: int) -> Body:
        """The inverse of `arrays`; other arrays are not looked at.

        Args:
            arrays: of a head's file.
            features: how many the last layer takes.

        Raises:
            ValueError: something is missing, of the wrong kind, or does not fit.
        """
        own = {
            name.removeprefix(BODY_PREFIX): array
            for name, array in arrays.items()
            if name.startswith(BODY_PREFIX)
        }
        if not own:
            return cls()
        if not {"flags", "activation"} <= own.keys():
            raise ValueError("it does not tell what bottlenecks go through")
        flags = checked(own.pop("flags"), "flags", "U", None).tolist()
        activation = str(checked(own.pop("activation"), "activation", "U"))
        if not {*flags} <= {*_FLAGS} or activation not in ACTIVATIONS:
            raise ValueError(f"it goes by {flags} and {activation!r}, which are not known")
        scaling = _scaling(own)
        hidden = tuple(_layer(own, number) for number in range(1, len(own) // 2 + 1))
        if own:
            raise ValueError(f"it holds {', '.join(sorted(own))}, which are not known")
        body = cls("unit_length" in flags, scaling, hidden, activation, "cosine" in flags)
        body.check(features)
        if scaling is not None:
            checked(scaling.mean, "mean", "f", body.width_for(features))
        return body


def of_unit_length(vectors: FloatArray) -> FloatArray:
    """Each row divided by its Euclidean length, as an array of its own; one of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.where(length > 0, length, np.float32(1))
    return unit


def _scaling(arrays: dict[str, NDArray[Any]]) -> Scaling | None:
    if "mean" not in arrays:
        return None
    mean, deviation = (_float32(arrays, name, None) for name in ("mean", "deviation"))
    if deviation.shape != mean.shape or not (deviation > 0).all():
        raise ValueError("its deviations are not above 0, one for each mean")
    return Scaling(mean, deviation)


def _layer(arrays: dict[str, NDArray[Any]], number: int) -> DenseLayer:
    weights = _float32(arrays, f"weights_{number}", None, None)
    return DenseLayer(weights, _float32(arrays, f"bias_{number}", weights.shape[1]))


def _float32(arrays: dict[str, NDArray[Any]], name: str, *shape: int | None) -> FloatArray:
    if name not in arrays:
        raise ValueError(f"{name} is missing")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        small = checked(arrays.pop(name), name, "f", *shape).astype(np.float32)
    return checked(small, name, "f", *shape)
