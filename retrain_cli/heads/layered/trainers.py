"""Training of a head of several layers, a block of steps at a time: in NumPy and on the engine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from retrain_cli.engine import float32_by_default, load_keras
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.engine_loop import Sums, Tensor, make_loop
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.backprop import Backprop
from retrain_cli.heads.layered.dropping import KeptUnits
from retrain_cli.heads.layered.parameters import head_of, n_weights, parameters_of
from retrain_cli.heads.numpy_softmax import NumpyAdam
from retrain_cli.heads.rows import Block
from retrain_cli.heads.softmax import check_learns, make_optimizer
from retrain_cli.heads.validation import Score, ValidationSet


class NumpyLayeredTrainer:
    """As `NumpySoftmaxTrainer`, for several layers.

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
        self._start, self._validation = head, validation
        given = parameters_of(head)
        self.n_weights = n_weights(given)
        # All parameters are parts of one array, which a step of Adam goes through once.
        self._values = np.concatenate([one.reshape(-1) for one in given])
        ends = np.cumsum([one.size for one in given])[:-1]
        parts = np.split(self._values, ends)
        self._parameters = [part.reshape(one.shape) for part, one in zip(parts, given, strict=True)]
        self._backprop = Backprop.of(np, config, head.n_classes, class_weights)
        self._kept = KeptUnits(config, head.width)
        self._adam = NumpyAdam(self._values, config)
        self._threads = ThreadpoolController()

    def train(self, block: Block) -> tuple[float, float]:
        """Take the steps of a block; returns the sums of their losses and right answers."""
        loss, hits = 0.0, 0.0
        with self._threads.limit(limits=1, user_api="blas"), np.errstate(all="ignore"):
            for places, labels in zip(block.places, block.labels, strict=True):
                kept = self._kept.draw(1, len(labels))
                more_loss, more_hits, gradients = self._backprop.step(
                    self._parameters, block.table[places], labels, None if kept is None else kept[0]
                )
                self._adam.descend(np.concatenate([one.reshape(-1) for one in gradients]))
                loss, hits = loss + float(more_loss), hits + float(more_hits)
        return loss, hits

    def head(self) -> Head:
        """A copy of the head as it is now."""
        return head_of(self._start, [one.copy() for one in self._parameters])

    def measure(self) -> Score | None:
        """Measure the head as it is now on validation; None without images."""
        with np.errstate(all="ignore"):
            return self._validation.measure(self.head())


class LayeredTrainer:
    """As `SoftmaxTrainer`, for several layers.

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
        keras = load_keras()
        check_learns(keras.backend.backend())
        self._start, self._ops, self._validation = head, keras.ops, validation
        given = parameters_of(head)
        self.n_weights = n_weights(given)
        with float32_by_default():
            self._variables = [keras.Variable(one, trainable=False) for one in given]
            self._optimizer = make_optimizer(config)
            self._optimizer.build(self._variables)
        self._backprop = Backprop.of(keras.ops, config, head.n_classes, class_weights)
        self._kept = KeptUnits(config, head.width)
        self._loop = make_loop(self._step, [*self._variables, *self._optimizer.variables])

    def train(self, block: Block) -> tuple[float, float]:
        """Take the steps of a block; returns the sums of their losses and right answers."""
        kept = self._kept.draw(*block.places.shape)
        more = [] if kept is None else [self._ops.convert_to_tensor(kept)]
        loss, hits = self._loop(block.table, block.places, block.labels, *more)
        return float(loss), float(hits)

    def head(self) -> Head:
        """A copy of the head as it is now."""
        return head_of(self._start, [np.array(one.numpy()) for one in self._variables])

    def measure(self) -> Score | None:
        """Measure the head as it is now on validation, in NumPy; None without images."""
        with np.errstate(all="ignore"):
            return self._validation.measure(self.head())

    def _step(self, vectors: Tensor, labels: Tensor, kept: Tensor | None = None) -> Sums:
        values = [self._ops.convert_to_tensor(one) for one in self._variables]
        loss, hits, gradients = self._backprop.step(values, vectors, labels, kept)
        self._optimizer.apply(gradients, self._variables)
        return loss, hits
