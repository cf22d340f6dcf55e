"""A head in closed form: ridge regression on one-hot labels, its scores softened by a temperature.

With image weights c_i that add up to one, bottlenecks x_i and one-hot labels y_i, the weights W and
biases b minimise `sum_i c_i / 2 * |y_i - W^T x_i - b|^2 + l2 / 2 * sum(W ** 2)`. In the basis V of
the images' scatter `V diag(s) V^T`, all penalties have the same solution up to a division by
`s + l2`, and so have the predictions for each image by the head that never saw it: of a linear
smoother they are `y_i - e_i / (1 - h_i)`, with residuals e and the diagonal h of the hat matrix.
The penalty and the temperature are those of the lowest log loss of these predictions.

A. Hoerl and R. Kennard, "Ridge regression", Technometrics 12, 1970; leave-one-out: D. Allen, "The
relationship between variable selection and data augmentation", Technometrics 16, 1974.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError
from retrain_cli.heads.full_batch.training_rows import Moments, TrainingRows
from retrain_cli.heads.head import Head
from retrain_cli.heads.temperature import fit_temperature, platt_doubt

MOST_JUDGED = 10_000  # left out in turn to choose by; more tell penalties apart no better
_MOST_SCORES, _FEWEST_JUDGED = 1_000_000, 1_000  # of many classes fewer are, for the same time

_PENALTIES = 10.0 ** np.arange(-7, 1.5)  # tried, of the total variance of the bottlenecks
_COARSE, _CLOSE = 0.02, 0.1  # of the logarithms of temperatures, of penalties
_LEAST_SQUARE = 1e-12  # of the largest; smaller ones are rounding errors

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Basis:
    """The directions in which the training images vary.

    Attributes:
        directions: `(width, rank)`, orthonormal columns V.
        squares: `(rank,)`, how much they vary along each, s.
    """

    directions: Matrix
    squares: Matrix

    @classmethod
    def of(cls, rows: TrainingRows, moments: Moments) -> Basis:
        """By the scatter or, where there are fewer images than it is wide, by their products."""
        if len(rows) < rows.data.width:
            return cls._of_few(rows, moments)
        squares, directions = np.linalg.eigh(moments.scatter)
        return cls(directions, squares)._without_rounding()

    @classmethod
    def _of_few(cls, rows: TrainingRows, moments: Moments) -> Basis:
        vectors = rows.read(np.arange(len(rows))) - moments.mean
        vectors *= np.sqrt(rows.weights)[:, None]
        squares, images = np.linalg.eigh(vectors @ vectors.T)
        basis = cls(images, squares)._without_rounding()
        return cls(vectors.T @ (basis.directions / np.sqrt(basis.squares)), basis.squares)

    def _without_rounding(self) -> Basis:
        kept = self.squares > _LEAST_SQUARE * self.squares[-1]
        return Basis(self.directions[:, kept], self.squares[kept])


@dataclass(frozen=True)
class RidgeChoice:
    """What the left-out predictions chose.

    Attributes:
        l2: the penalty.
        temperature: what the predictions are divided by before the softmax.
        log_loss: mean over the judged images, each left out.
        accuracy: share of right answers of the same.
        n_judged: how many they are.
    """

    l2: float
    temperature: float
    log_loss: float
    accuracy: float
    n_judged: int


class RidgePath:
    """The heads of all penalties.

    Args:
        rows: the training images.
        seed: chooses those that are judged, where there are more than 10,000, or more than a
            million scores.
        judge_all: judge all of them.

    Raises:
        RunError: the images do not differ.
    """

    def __init__(self, rows: TrainingRows, seed: int, *, judge_all: bool = False) -> None:
        self._rows = rows
        moments = self._moments = Moments.of(rows)
        if not np.trace(moments.scatter) > 0:
            raise RunError(
                "a head is trained on bottlenecks that differ, but all of them are equal: use "
                "another backbone, or look at the photos with `retrain check`"
            )
        self._basis = Basis.of(rows, moments)
        self._pulls = self._basis.directions.T @ moments.cross
        self._judged = np.arange(len(rows)) if judge_all else _judged(rows, seed)
        places = self._rows.read(self._judged) - moments.mean
        self._places = places @ self._basis.directions

    @property
    def variance(self) -> float:
        """Total variance of the bottlenecks."""
        return float(self._basis.squares.sum())

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self._rows.data.n_classes

    def head(self, l2: float, temperature: float = 1.0) -> Head:
        """The head of a penalty, its scores divided by a temperature."""
        moments = self._moments
        weights = self._basis.directions @ (self._pulls / (self._basis.squares + l2)[:, None])
        bias = moments.shares - moments.mean @ weights
        names = self._rows.data.class_names
        return Head(
            names,
            (weights / temperature).astype(np.float32),
            (bias / temperature).astype(np.float32),
        )

    @cached_property
    def judged_labels(self) -> NDArray[np.int32]:
        """Classes of the judged images."""
        return self._rows.labels[self._judged]

    def left_out(self, l2: float) -> Matrix:
        """What heads predict for the judged images that they never saw, `(n_judged, n_classes)`.

        Each is exactly that of a head fitted to all other training images, with their weights.
        """
        moments, shrunk = self._moments, self._basis.squares + l2
        fitted = self._places @ (self._pulls / shrunk[:, None]) + moments.shares
        leverage = self._rows.weights[self._judged] * (1 + (self._places**2) @ (1 / shrunk))
        residual = -fitted
        residual[np.arange(len(fitted)), self.judged_labels] += 1
        predicted: Matrix = -residual / (1 - leverage)[:, None]
        predicted[np.arange(len(fitted)), self.judged_labels] += 1
        return predicted

    def held_out(self, l2: float, places: NDArray[np.int64]) -> Matrix:
        """The same for some judged images that are held out together, `(n_places, n_classes)`."""
        moments, shrunk = self._moments, self._basis.squares + l2
        own = self._places[places]
        roots = np.sqrt(self._rows.weights[self._judged[places]])
        residual = -(own @ (self._pulls / shrunk[:, None]) + moments.shares)
        residual[np.arange(len(places)), self.judged_labels[places]] += 1
        hat = roots[:, None] * (1 + (own / shrunk) @ own.T) * roots
        hat = np.eye(len(places)) - hat
        left = np.linalg.solve(hat, residual * roots[:, None]) / roots[:, None]
        predicted: Matrix = -left
        predicted[np.arange(len(places)), self.judged_labels[places]] += 1
        return predicted

    def choose(self, l2: float | None = None) -> RidgeChoice:
        """The penalty of the lowest left-out log loss, or the given one, and its temperature."""
        if l2 is None:
            l2 = self._best_penalty()
        predicted = self.left_out(l2)
        temperature = self._temperature(predicted)
        hits = predicted.argmax(axis=1) == self.judged_labels
        loss = _log_loss(predicted / temperature, self.judged_labels)
        return RidgeChoice(l2, temperature, loss, float(hits.mean()), len(hits))

    def _best_penalty(self) -> float:
        from scipy.optimize import minimize_scalar

        def loss(logarithm: float) -> float:
            predicted = self.left_out(math.exp(logarithm))
            temperature = self._temperature(predicted, _COARSE)
            return _log_loss(predicted / temperature, self.judged_labels)

        tried = np.log(_PENALTIES * self.variance)
        best = int(np.argmin([loss(one) for one in tried]))
        ends = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        found = minimize_scalar(loss, bounds=ends, method="bounded", options={"xatol": _CLOSE})
        return math.exp(float(found.x))

    def _temperature(self, predicted: Matrix, fine: float = 1e-9) -> float:
        doubt = platt_doubt(len(predicted))
        found = fit_temperature([predicted], self.judged_labels, doubt=doubt, fine=fine)
        return 1.0 if found is None else found


def _log_loss(logits: Matrix, labels: NDArray[np.int32]) -> float:
    above = logits - logits[np.arange(len(labels)), labels][:, None]
    most = above.max(axis=1)
    return float((most + np.log(np.exp(above - most[:, None]).sum(axis=1))).mean())


def _judged(rows: TrainingRows, seed: int) -> NDArray[np.int64]:
    by_scores = max(_MOST_SCORES // rows.data.n_classes, _FEWEST_JUDGED)
    most = min(MOST_JUDGED, by_scores)
    if len(rows) <= most:
        return np.arange(len(rows))
    chosen = np.random.default_rng([seed, 0x71D6]).choice(len(rows), most, replace=False)
    return np.sort(chosen)
