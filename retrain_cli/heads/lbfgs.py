"""Softmax regression on all images at once, to convergence, by L-BFGS.

It minimises `sum_i c_i * cross-entropy_i + l2 / 2 * sum(weights ** 2)`. The image weights c_i add
up to one: equal for each image with shuffled sampling, equal for each class with balanced. That is
what the stochastic optimisers minimise too, so one `--l2` means the same to all.

L-BFGS-B of SciPy: R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound
constrained optimization", SIAM J. Sci. Comput. 16, 1995.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow, StoppedBy, TrainedHead
from retrain_cli.heads.rows import check_finite, fits_memory, read_rows
from retrain_cli.heads.tracker import Tracker
from retrain_cli.heads.validation import ValidationSet

_CHUNK_VALUES = 8_000_000  # vectors or scores of a chunk, 32 MB
_MEMORY_BYTES = 2e9  # for the pairs of vectors that L-BFGS remembers
_GRADIENT_TOLERANCE = 1e-5  # largest entry of the gradient at convergence


class Objective:
    """The loss of a head over all training images, and its gradient.

    Products are taken in float32, sums over chunks of images in float64.

    Args:
        data: what to train on.
        config: the training settings.
        memory_limit: as of `train_head`.

    Attributes:
        data: as given.
        accuracy: of the last call, each image weighted as in the loss.
    """

    def __init__(self, data: HeadData, config: TrainingConfig, memory_limit: int | None) -> None:
        self.data = data
        self._l2 = config.l2
        self._labels = data.labels[data.training]
        self._image_weights = _image_weights(self._labels, config)
        self._table: NDArray[np.float32] | None = None
        if fits_memory(data, memory_limit):
            self._table = read_rows(data.bottlenecks, data.training)
            check_finite(self._table)
        self.accuracy = 0.0

    def __call__(self, flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Loss and gradient at weights and biases laid end to end."""
        n_classes, width = self.data.n_classes, self.data.width
        head = unflatten(flat, self.data)
        gradient = np.zeros((width + 1, n_classes))
        loss, self.accuracy = 0.0, 0.0
        for rows, vectors in self._chunks():
            interrupts.check()
            logs, truth, weight = self._score(head, rows, vectors)
            loss -= float(weight @ np.take_along_axis(logs, truth, axis=1)[:, 0])
            self.accuracy += float(weight @ (logs.argmax(axis=1) == truth[:, 0]))
            error = np.exp(logs)
            np.put_along_axis(error, truth, np.take_along_axis(error, truth, axis=1) - 1, axis=1)
            error *= weight[:, None].astype(np.float32)
            gradient[:-1] += vectors.T @ error
            gradient[-1] += error.sum(axis=0, dtype=np.float64)
        weights = flat[: width * n_classes].reshape(width, n_classes)
        gradient[:-1] += self._l2 * weights
        return loss + self._l2 / 2 * float((weights**2).sum()), gradient.reshape(-1)

    def _score(
        self, head: Head, rows: slice, vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float64]]:
        logs = head.log_probabilities(vectors)
        return logs, self._labels[rows, None], self._image_weights[rows]

    def _chunks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        size = max(1, _CHUNK_VALUES // max(self.data.width, self.data.n_classes))
        for start in range(0, len(self._labels), size):
            rows = slice(start, start + size)
            if self._table is not None:
                yield rows, self._table[rows]
            else:
                vectors = read_rows(self.data.bottlenecks, self.data.training[rows])
                check_finite(vectors)
                yield rows, vectors


def train_lbfgs(
    objective: Objective,
    config: TrainingConfig,
    start: Head,
    validation: ValidationSet,
    tracker: Tracker,
) -> TrainedHead:
    """Train to convergence, or for `config.steps` iterations; each is evaluated."""
    from scipy.optimize import minimize

    flat = np.concatenate([start.weights.reshape(-1), start.bias]).astype(np.float64)
    step = 0

    def evaluate(intermediate_result: Any) -> None:
        nonlocal step
        step += 1
        head = unflatten(intermediate_result.x, objective.data)
        score = validation.measure(head)
        measured = (score.loss, score.accuracy) if score else (None, None)
        loss = float(intermediate_result.fun)
        tracker.record(HistoryRow(step, loss, objective.accuracy, *measured), lambda: head)
        if tracker.out_of_patience:
            raise StopIteration

    options = {
        "maxiter": config.steps,
        "maxfun": 2 * config.steps + 100,
        "maxcor": int(np.clip(_MEMORY_BYTES // (16 * flat.size), 3, 10)),
        "gtol": _GRADIENT_TOLERANCE,
        "ftol": 64 * np.finfo(np.float64).eps,
    }
    with interrupts.held():
        try:
            outcome = minimize(
                objective, flat, jac=True, method="L-BFGS-B", callback=evaluate, options=options
            )
        except KeyboardInterrupt:
            if tracker.empty:
                raise
            return tracker.result("interrupt")
        if tracker.empty:  # the start was the minimum
            evaluate(outcome)
        return tracker.result(_reason(step, config, tracker))


def _reason(step: int, config: TrainingConfig, tracker: Tracker) -> StoppedBy:
    if tracker.out_of_patience:
        return "patience"
    return "steps" if step >= config.steps else "converged"


def unflatten(flat: NDArray[np.float64], data: HeadData) -> Head:
    """The head of weights and biases laid end to end."""
    split = data.width * data.n_classes
    weights = flat[:split].reshape(data.width, data.n_classes).astype(np.float32)
    return Head(data.class_names, weights, flat[split:].astype(np.float32))


def _image_weights(labels: NDArray[np.int32], config: TrainingConfig) -> NDArray[np.float64]:
    if config.sampling == "shuffled":
        return np.full(len(labels), 1 / len(labels))
    sizes = np.bincount(labels)
    weights: NDArray[np.float64] = 1 / (np.count_nonzero(sizes) * sizes[labels])
    return weights
