"""Softmax regression on all images at once, to convergence, by L-BFGS.

It minimises `sum_i c_i * cross-entropy_i + l2 / 2 * sum(weights ** 2)`, c_i the weights of the
images (see `training_rows`). To search in coordinates in which bottlenecks vary alike was tried: it
takes two to three times the iterations, for where classes are told apart the weight decay alone
curves the loss, and that alike in all directions.

L-BFGS-B of SciPy: R. H. Byrd, P. Lu, J. Nocedal and C. Zhu, "A limited memory algorithm for bound
constrained optimization", SIAM J. Sci. Comput. 16, 1995.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from retrain_cli import interrupts
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch.training_rows import TrainingRows
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow, StoppedBy, TrainedHead
from retrain_cli.heads.tracker import Tracker
from retrain_cli.heads.validation import ValidationSet

_MEMORY_BYTES = 2e9  # for the pairs of vectors that L-BFGS remembers
_GRADIENT_TOLERANCE = 1e-5  # largest entry of the gradient at convergence

Vector = NDArray[np.float64]


class Objective:
    """The loss of a head over all training images, and its gradient.

    Products are taken in float32, sums over chunks of images in float64.

    Args:
        data: what to train on.
        config: the training settings.
        memory_limit: as of `train_head`.

    Attributes:
        rows: the training images.
        accuracy: of the last call, each image weighted as in the loss.
    """

    def __init__(self, data: HeadData, config: TrainingConfig, memory_limit: int | None) -> None:
        self.rows = TrainingRows(data, config, memory_limit)
        self._l2 = config.weight_decay
        self.accuracy = 0.0

    def __call__(self, flat: Vector) -> tuple[float, Vector]:
        """Loss and gradient at weights and biases laid end to end."""
        n_classes, width = self.rows.data.n_classes, self.rows.data.width
        head = unflatten(flat, self.rows.data)
        gradient = np.zeros((width + 1, n_classes))
        loss, self.accuracy = 0.0, 0.0
        for places, vectors in self.rows.chunks():
            truth, weight = self.rows.labels[places, None], self.rows.weights[places]
            logs = head.log_probabilities(vectors)
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
        head = unflatten(intermediate_result.x, objective.rows.data)
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
    with interrupts.held(), scipy_on_one_thread():
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


def scipy_on_one_thread() -> AbstractContextManager[object]:
    """Leave the processors to NumPy, which multiplies the matrices.

    SciPy's wheel brings an OpenBLAS of its own. Its threads, started for the short sums between
    two evaluations, would wait for more work on the processors that NumPy's threads need.
    """
    blas = ThreadpoolController()
    own = [one.filepath for one in blas.lib_controllers if _is_of_scipy(Path(one.filepath))]
    limit: AbstractContextManager[object] = blas.select(filepath=own).limit(limits=1)
    return limit


def _is_of_scipy(library: Path) -> bool:
    return any(folder.name in {"scipy", "scipy.libs"} for folder in library.parents)


def _reason(step: int, config: TrainingConfig, tracker: Tracker) -> StoppedBy:
    if tracker.out_of_patience:
        return "patience"
    return "steps" if step >= config.steps else "converged"


def unflatten(flat: Vector, data: HeadData) -> Head:
    """The head of weights and biases laid end to end."""
    split = data.width * data.n_classes
    weights = flat[:split].reshape(data.width, data.n_classes).astype(np.float32)
    return Head(data.class_names, weights, flat[split:].astype(np.float32))
