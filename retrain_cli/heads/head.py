"""The head: what turns bottlenecks into scores of classes, in plain NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.class_names import listed, name_key
from retrain_cli.errors import RunError, setting
from retrain_cli.evaluation.arrays import checked, damaged, read_arrays
from retrain_cli.evaluation.predictions import chunks
from retrain_cli.evaluation.ranking import top_k
from retrain_cli.heads.balancing.class_prior import PRIOR_PREFIX, ClassPrior, Prior
from retrain_cli.heads.layered.body import BODY_PREFIX, Body

FloatArray = NDArray[np.float32]

_INITIAL_DEVIATION = 0.001  # as in the original script


@dataclass(frozen=True, eq=False)
class Head:
    """A trained softmax layer, and what bottlenecks go through before it; class i is `labels[i]`.

    Whoever wants scores asks for `logits`. Only who takes columns apart or puts them together looks
    at the last layer, and then at `features` of bottlenecks.

    Attributes:
        labels: class names, in the order of the columns of `weights`.
        weights: `(features, n_classes) float32` of the last layer.
        bias: `(n_classes,) float32` of the last layer.
        body: from bottlenecks to features; nothing in the study's head.
        prior: the shares of the classes that it has learned; None where nobody asked for them.
    """

    labels: tuple[str, ...]
    weights: FloatArray
    bias: FloatArray
    body: Body = field(default_factory=Body)
    prior: ClassPrior | None = None

    def __post_init__(self) -> None:
        n_classes = len(self.labels)
        if self.weights.ndim != 2 or self.weights.shape[1] != n_classes:
            raise RunError(
                f"a head of {n_classes} classes needs one column of weights for each, but the "
                f"weights are of shape {self.weights.shape}: train it again"
            )
        if self.bias.shape != (n_classes,):
            raise RunError(
                f"a head of {n_classes} classes needs one bias for each, but they are of shape "
                f"{self.bias.shape}: train it again"
            )

    @classmethod
    def initial(cls, labels: tuple[str, ...], width: int, seed: int) -> Head:
        """An untrained head: normal weights of deviation 0.001 cut at two deviations, zero biases.

        Equal arguments give equal weights.
        """
        generator = np.random.default_rng([seed, 0x4EAD])
        weights = generator.standard_normal((width, len(labels)), dtype=np.float32)
        np.clip(weights, -2, 2, out=weights)
        weights *= np.float32(_INITIAL_DEVIATION)
        return cls(labels, weights, np.zeros(len(labels), np.float32))

    @property
    def width(self) -> int:
        """Length of the bottlenecks that the head takes."""
        return self.body.width_for(int(self.weights.shape[0]))

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.labels)

    def logits(self, bottlenecks: FloatArray) -> FloatArray:
        """Unnormalised scores, `(n_images, n_classes) float32`, of `(n_images, width)` bottlenecks.

        Raises:
            RunError: the bottlenecks are of another width than the head.
        """
        if bottlenecks.ndim != 2 or bottlenecks.shape[1] != self.width:
            raise RunError(
                f"this head takes bottlenecks {self.width} wide, but got shape "
                f"{bottlenecks.shape}: use the backbone that the head was trained on"
            )
        scores: FloatArray = self.body.features(bottlenecks) @ self.weights
        scores += self.bias
        return scores

    def features(self, bottlenecks: FloatArray) -> FloatArray:
        """What the last layer takes, `(n_images, features) float32`; see `Body.features`."""
        return self.body.features(bottlenecks)

    @property
    def last_layer(self) -> Head:
        """The head of features, without what comes before."""
        return replace(self, body=Body())

    def with_last_layer(self, layer: Head) -> Head:
        """A head of features behind what comes before this one's last layer."""
        return replace(layer, body=self.body)

    def log_probabilities(self, bottlenecks: FloatArray) -> FloatArray:
        """Natural logarithms of `probabilities`, without the loss of small ones to zero."""
        scores = self.logits(bottlenecks)
        scores -= scores.max(axis=1, keepdims=True)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return scores

    def probabilities(self, bottlenecks: FloatArray) -> FloatArray:
        """Softmax of the logits, `(n_images, n_classes) float32`; each row adds up to one."""
        result = np.empty((len(bottlenecks), self.n_classes), np.float32)
        for rows in self._chunks(len(bottlenecks)):
            np.exp(self.log_probabilities(bottlenecks[rows]), out=result[rows])
        return result

    def top_k(self, bottlenecks: FloatArray, k: int) -> tuple[NDArray[np.int32], FloatArray]:
        """The k best classes of each image and their probabilities, best first.

        Args:
            bottlenecks: `(n_images, width) float32`.
            k: how many; more than there are classes gives all.

        Returns:
            Class indices `(n_images, k) int32` and probabilities `(n_images, k) float32`.
        """
        k = min(k, self.n_classes)
        indices = np.empty((len(bottlenecks), k), np.int32)
        scores = np.empty((len(bottlenecks), k), np.float32)
        for rows in self._chunks(len(bottlenecks)):
            logs = self.log_probabilities(bottlenecks[rows])
            indices[rows] = top_k(logs, k)
            scores[rows] = np.exp(np.take_along_axis(logs, indices[rows], axis=1))
        return indices, scores

    def _chunks(self, n_images: int) -> Iterator[slice]:
        return chunks(n_images, max(self.n_classes, self.body.widest))

    def at_temperature(self, temperature: float) -> Head:
        """The head with its logits divided by a temperature.

        It gives the same answers, unless its scores are for a uniform prior: a temperature is one
        of natural scores, and what is taken off them stays what it is (see `class_prior`).
        """
        natural, scale = self.for_prior("natural"), np.float32(1 / temperature)
        scaled = replace(natural, weights=self.weights * scale, bias=natural.bias * scale)
        return scaled if self.prior is None else scaled.for_prior(self.prior.scores)

    def for_prior(self, wanted: Prior) -> Head:
        """The head whose scores are for this prior; itself where it knows none."""
        prior = self.prior
        if prior is None or prior.scores == wanted:
            return self
        bias = self.bias + prior.logs if wanted == "natural" else self.bias - prior.logs
        return replace(self, bias=bias, prior=replace(prior, scores=wanted))

    @property
    def natural(self) -> Head:
        """The head as its last layer was trained, before any prior was taken off."""
        return self.for_prior("natural")

    def extended_to(self, labels: tuple[str, ...]) -> Head:
        """A head for other classes that takes over the known ones; order may differ.

        A new class starts at the mean of the known ones. Softmax ignores what all logits have in
        common, so the mean is the neutral start: it favours no known class and none of the new.

        Raises:
            RunError: none of the classes is known to this head.
        """
        if labels == self.labels:
            return self
        position = {name_key(label): index for index, label in enumerate(self.labels)}
        source = np.array([position.get(name_key(label), -1) for label in labels])
        if (source < 0).all():
            raise RunError(
                "a head can be continued only with at least one of its own classes, but it knows "
                f"none of {listed(labels[:3])}...: train without {setting('init_from')}"
            )
        weights = np.where(source >= 0, self.weights[:, source], _mean_column(self.weights))
        bias = np.where(source >= 0, self.bias[source], self.bias.mean())
        prior = self.prior
        if prior is not None:  # of a new class nothing is known
            logs = np.where(source >= 0, prior.logs[source], prior.logs.mean())
            prior = replace(prior, logs=logs.astype(np.float32))
        return Head(labels, weights.astype(np.float32), bias.astype(np.float32), self.body, prior)

    def save(self, path: Path) -> None:
        """Write an `.npz` with the arrays labels (Unicode), weights and bias; no pickles.

        What comes before the last layer is in further arrays, whose names begin with `body_`, and
        the prior in `prior_uniform` or `prior_natural`, by the scores that the head gives.
        """
        arrays: dict[str, Any] = {"weights": self.weights, "bias": self.bias}
        if self.prior is not None:
            arrays[PRIOR_PREFIX + self.prior.scores] = self.prior.logs
        with path.open("wb") as file:
            np.savez(file, labels=np.array(self.labels), **arrays | self.body.arrays())

    @classmethod
    def load(cls, path: Path) -> Head:
        """Read what `save` wrote.

        Raises:
            RunError: the file is missing, damaged or not a head.
        """
        names = ("labels", "weights", "bias")
        arrays = read_arrays(path, names, "a trained head", also=(BODY_PREFIX, PRIOR_PREFIX))
        try:
            labels = checked(arrays["labels"], "labels", "U", None)
            weights = checked(arrays["weights"], "weights", "f", None, len(labels))
            bias = checked(arrays["bias"], "bias", "f", len(labels))
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
                weights, bias = (one.astype(np.float32, copy=False) for one in (weights, bias))
            checked(weights, "weights", "f", None, None)
            checked(bias, "bias", "f", None)
            body = Body.from_arrays(arrays, len(weights))
            prior = ClassPrior.from_arrays(arrays, len(labels))
        except ValueError as error:
            raise damaged(path, "a trained head", error) from error
        return cls(tuple(map(str, labels)), weights, bias, body, prior)


def _mean_column(weights: FloatArray) -> FloatArray:
    mean: FloatArray = weights.mean(axis=1, keepdims=True, dtype=np.float32)
    return mean
