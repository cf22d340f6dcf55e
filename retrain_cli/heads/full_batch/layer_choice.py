"""Which layer, or which few side by side, a head is best trained on: by cross-validation.

Every layer is brought to one scale (see `fit_layer_scaling`), and a ridge regression on one-hot
labels is judged on five folds of the training images. In its dual form the products of the images
with each other are all that counts of a layer, and those of several layers add up, so that a set
costs no more than a layer. With the products K and a penalty p, `H = K (K + p)^-1` takes labels to
predictions, and those of heads that never saw the images F of a fold are exactly
`Y_F - (1 - H_FF)^-1 (Y_F - (H Y)_F)`.

The last layer is left only for a gain beyond two standard errors, and layers are added only for
such a gain: of many layers and sets, one is always the best by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import DatasetError
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.sampling import deal_evenly, select_training

FOLDS = 5
_FEWEST = 3
"""Training images of a class, so that it is known whatever fold is left out."""
MOST_LAYERS = 3
ERRORS = 2
"""Standard errors that a gain has to be beyond."""
_MOST_IMAGES = 1_500
"""Of more, as many of each class: the products of all of them would take memory and minutes."""
_PENALTIES = 10.0 ** np.arange(-5, 1)  # of the mean square of an image's vector

Hits = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class JudgedSet:
    """What a set of layers reaches.

    Attributes:
        layers: places of its layers, ascending; one or several.
        hits: `(n_judged,)`, which images a head answered right that never saw them.
    """

    layers: tuple[int, ...]
    hits: Hits

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.hits.mean())

    def gain_over(self, other: JudgedSet) -> tuple[float, float]:
        """The difference in the share of right answers, and its standard error over the images.

        The error is that of no difference at all, as McNemar's test has it, with one more answer
        that differs: else a single one would be a gain beyond its error.
        """
        difference = self.hits.astype(np.float64) - other.hits
        n_different = np.count_nonzero(difference)
        return float(difference.mean()), float(np.sqrt(n_different + 1) / len(difference))


@dataclass(frozen=True, eq=False)
class LayerChoice:
    """What was judged, and what is taken.

    Attributes:
        single: each layer, in the order of the network; the last is that of the network.
        best: of each number of layers from two on, the best set that was found.
        taken: the one to take.
    """

    single: tuple[JudgedSet, ...]
    best: tuple[JudgedSet, ...]
    taken: JudgedSet

    @property
    def last(self) -> JudgedSet:
        """The last layer."""
        return self.single[-1]

    @property
    def n_judged(self) -> int:
        """How many images judged."""
        return len(self.last.hits)


def choose_layers(
    data: HeadData,
    widths: Sequence[int],
    seed: int,
    most: int = MOST_LAYERS,
    heed: Callable[[], None] = lambda: None,
) -> LayerChoice:
    """Judge each layer, then what adding another one to the best of them gives, and so on.

    Args:
        data: bottlenecks of all layers side by side; its training images are looked at.
        widths: how many numbers each layer gives.
        seed: deals out the folds.
        most: how many layers a set has at most.
        heed: called now and then; what it raises ends the work.

    Raises:
        DatasetError: a class has fewer than three training images.
    """
    judge = _Judge(data, widths, seed, heed)
    single = tuple(judge.judged((place,)) for place in range(len(widths)))
    current = max(single, key=lambda one: one.accuracy)
    best: list[JudgedSet] = []
    for _ in range(min(most, len(widths)) - 1):
        others = [place for place in range(len(widths)) if place not in current.layers]
        tried = [judge.judged(tuple(sorted((*current.layers, place)))) for place in others]
        current = max(tried, key=lambda one: one.accuracy)
        best.append(current)
    return LayerChoice(single, tuple(best), _taken(single, best))


def _taken(single: Sequence[JudgedSet], best: Sequence[JudgedSet]) -> JudgedSet:
    """The last layer, unless others gain more than two standard errors; more layers likewise."""
    taken = single[-1]
    for one in (max(single, key=lambda one: one.accuracy), *best):
        gain, error = one.gain_over(taken)
        if gain > ERRORS * error:
            taken = one
    return taken


class _Judge:
    """The products of the training images with each other, layer by layer."""

    def __init__(
        self, data: HeadData, widths: Sequence[int], seed: int, heed: Callable[[], None]
    ) -> None:
        self._heed = heed
        rows = _some(data, seed)
        labels = data.labels[rows]
        self._labels = labels
        groups = rows if data.groups is None else data.groups[rows]
        self._folds = deal_evenly(labels, groups, FOLDS, [seed, 0x1A7E])
        self._targets = np.eye(data.n_classes)[labels] - np.bincount(
            labels, minlength=data.n_classes
        ) / len(labels)
        self._means = np.bincount(labels, minlength=data.n_classes) / len(labels)
        starts = np.cumsum([0, *widths])
        self._products = [
            _products(data.bottlenecks, rows, slice(start, end))
            for start, end in pairwise(starts.tolist())
        ]

    def judged(self, layers: tuple[int, ...]) -> JudgedSet:
        """The set at the penalty of the smallest error for images left out."""
        self._heed()
        total = np.sum([self._products[place] for place in layers], axis=0, dtype=np.float64)
        squares, directions = np.linalg.eigh(total)
        squares = np.maximum(squares, 0)
        pulls = directions.T @ self._targets
        left_out = [
            self._left_out(squares, directions, pulls, penalty * squares.mean() * len(squares))
            for penalty in _PENALTIES
        ]
        errors = [float(((self._targets - one) ** 2).sum()) for one in left_out]
        answers = (left_out[int(np.argmin(errors))] + self._means).argmax(axis=1)
        return JudgedSet(layers, answers == self._labels)

    def _left_out(
        self,
        squares: NDArray[np.float64],
        directions: NDArray[np.float64],
        pulls: NDArray[np.float64],
        penalty: float,
    ) -> NDArray[np.float64]:
        """Predictions for each image by a head that saw nothing of its fold."""
        kept = squares / (squares + max(penalty, 1e-12))
        fitted = directions @ (kept[:, None] * pulls)
        result = np.empty_like(fitted)
        for fold in range(FOLDS):
            away = np.flatnonzero(self._folds == fold)
            own = directions[away]
            hat = np.eye(len(away)) - (own * kept) @ own.T
            residual = self._targets[away] - fitted[away]
            result[away] = self._targets[away] - np.linalg.solve(hat, residual)
        return result


def _some(data: HeadData, seed: int) -> NDArray[np.int64]:
    """The training images, or of many as many of each class.

    Raises:
        DatasetError: a class has fewer than three.
    """
    labels = data.labels[data.training]
    counts = np.bincount(labels, minlength=data.n_classes)
    if counts.min(initial=_FEWEST) < _FEWEST:
        few = int(counts.argmin())
        raise DatasetError(
            f"layers are compared by cross-validation in {FOLDS} folds, which takes at least "
            f"{_FEWEST} training photos of each class, and {data.class_names[few]} has "
            f"{counts[few]}: add photos, or name one in `retrain bottlenecks --layer`"
        )
    if len(labels) <= _MOST_IMAGES:
        return data.training
    per_class = max(FOLDS, _MOST_IMAGES // data.n_classes)
    return select_training(data.labels, data.training, per_class, seed)


def _products(
    bottlenecks: NDArray[np.float32], rows: NDArray[np.int64], columns: slice
) -> NDArray[np.float32]:
    """Of the images' vectors about their mean, on a scale where their mean square is 1."""
    vectors = np.asarray(bottlenecks[rows, columns], np.float64)
    vectors -= vectors.mean(axis=0)
    square = float(np.einsum("ij,ij->", vectors, vectors)) / len(rows)
    if square > 0:
        vectors /= np.sqrt(square)
    products: NDArray[np.float32] = (vectors @ vectors.T).astype(np.float32)
    return products
