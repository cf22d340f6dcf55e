"""Softmax regression by Adam in plain NumPy: for one small head on a processor.

A step of a small head is a few small products. There an engine's own work on each step weighs more
than the arithmetic, and its import takes longer than many a training: NumPy needs neither. Larger
heads are faster on an engine, which fuses the steps of Adam, and so are several trainings at a time
in one process, which would wait for each other's turn in Python.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from retrain_cli.engine import may_have_gpu, wanted_engine
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.rows import Block
from retrain_cli.heads.validation import Score, ValidationSet

MOST_WEIGHTS = 150_000  # from about here an engine's step is the faster one; see docs/benchmarks.md

_FIRST_DECAY, _SECOND_DECAY = 0.9, 0.999  # as Keras has them


def suits_numpy(config: TrainingConfig, head: Head) -> bool:
    """Whether to train in NumPy: a small head, by Adam, where no GPU or other engine is wanted."""
    n_weights = head.weights.size + sum(layer.weights.size for layer in head.body.hidden)
    is_small = n_weights <= MOST_WEIGHTS
    return (
        config.optimizer == "adam"
        and is_small
        and wanted_engine() == "tensorflow"
        and not may_have_gpu()
    )


class NumpyAdam:
    """Moves values against their gradients, nothing of their size being made anew.

    D. P. Kingma and J. Ba, ICLR 2015, in Keras's form: epsilon is added to the root of the second
    moment as it is, and the correction of both moments goes into the step size.

    Args:
        values: what is changed in place, float32.
        config: the training settings.
    """

    def __init__(self, values: NDArray[np.float32], config: TrainingConfig) -> None:
        self._values = values
        self._rate, self._epsilon = config.learning_rate, np.float32(config.epsilon)
        self._first, self._second = (np.zeros_like(values) for _ in range(2))
        self._scratch = np.empty_like(values)
        self._done = 0

    def descend(self, gradient: NDArray[np.float32]) -> None:
        """Take one step."""
        self._done += 1
        first, second, scratch = self._first, self._second, self._scratch
        np.subtract(gradient, first, out=scratch)
        scratch *= np.float32(1 - _FIRST_DECAY)
        first += scratch
        np.square(gradient, out=scratch)
        scratch -= second
        scratch *= np.float32(1 - _SECOND_DECAY)
        second += scratch
        np.sqrt(second, out=scratch)
        scratch += self._epsilon
        np.divide(first, scratch, out=scratch)
        correction = np.sqrt(1 - _SECOND_DECAY**self._done) / (1 - _FIRST_DECAY**self._done)
        scratch *= np.float32(self._rate * correction)
        self._values -= scratch


class NumpySoftmaxTrainer:
    """Holds a head and improves it, a block of steps at a time; as `SoftmaxTrainer` does.

    Args:
        head: where to start.
        config: the training settings.
        validation: the images that `measure` measures on.
        class_weights: `(n_classes,)`, of an image of each class in the loss; None for equal ones.
    """

    def __init__(
        self,
        head: Head,
        config: TrainingConfig,
        validation: ValidationSet,
        class_weights: NDArray[np.float32] | None = None,
    ) -> None:
        self._labels, self._validation = head.labels, validation
        self._class_weights = class_weights
        self._l2 = np.float32(config.weight_decay)
        # Weights, and below them the biases; likewise their gradient.
        self._values = np.concatenate([head.weights, head.bias[None]])
        self._gradient = np.empty_like(self._values)
        self._adam = NumpyAdam(self._values, config)
        self._threads = ThreadpoolController()

    @property
    def n_weights(self) -> int:
        """Number of weights, biases left out."""
        return int(self._values[:-1].size)

    def train(self, block: Block) -> tuple[float, float]:
        """Take the steps of a block; returns the sums of their losses and right answers."""
        loss, hits = 0.0, 0.0
        # So small a product is quick on one core, and on a busy machine two that wait for each
        # other at its end take ten times as long. A loss that is not finite is told where it is
        # recorded.
        with self._threads.limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            for places, labels in zip(block.places, block.labels, strict=True):
                more_loss, more_hits = self._step(block.table[places], labels)
                loss, hits = loss + more_loss, hits + more_hits
        return loss, hits

    def head(self) -> Head:
        """A copy of the head as it is now."""
        return Head(self._labels, self._values[:-1].copy(), self._values[-1].copy())

    def measure(self) -> Score | None:
        """Measure the head as it is now on validation; None without images."""
        with np.errstate(all="ignore"):
            return self._validation.measure(self.head())

    def _step(self, vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> tuple[float, int]:
        """One step on `(n, width)` vectors; its loss and right answers, before the step."""
        weights, n_images = self._values[:-1], len(labels)
        logs = vectors @ weights
        logs += self._values[-1]
        hits = int(np.count_nonzero(logs.argmax(axis=1) == labels))
        logs -= logs.max(axis=1, keepdims=True)
        error = np.exp(logs)
        sums = error.sum(axis=1, keepdims=True)
        own = np.arange(n_images), labels
        losses = np.log(sums[:, 0]) - logs[own]
        error /= sums
        error[own] -= 1
        if self._class_weights is not None:
            weight = self._class_weights[labels]
            losses *= weight
            error *= weight[:, None]
        loss = float(losses.mean())
        error /= np.float32(n_images)
        np.matmul(vectors.T, error, out=self._gradient[:-1])
        error.sum(axis=0, out=self._gradient[-1])
        if self._l2:
            loss += float(self._l2 / 2 * np.square(weights).sum())
            self._gradient[:-1] += self._l2 * weights
        self._adam.descend(self._gradient)
        return loss, hits
