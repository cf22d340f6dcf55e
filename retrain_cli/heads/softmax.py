"""Softmax regression on the engine: one optimiser step, and many of them in one compiled call.

The gradient of the cross-entropy of a softmax layer is known in closed form, so no automatic
differentiation is needed: with bottlenecks X, probabilities P and one-hot labels Y of n images, it
is `X^T (P - Y) / n + l2 W` for the weights W and the column sums of `(P - Y) / n` for the bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import float32_by_default, load_keras
from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import OPTIMIZERS_WITH_EPSILON, TrainingConfig
from retrain_cli.heads.engine_loop import Sums, Tensor, make_loop
from retrain_cli.heads.fused_adam import FusedAdam
from retrain_cli.heads.head import Head
from retrain_cli.heads.rows import Block
from retrain_cli.heads.validation import Score, ValidationSet


def make_optimizer(config: TrainingConfig) -> Any:
    """The Keras optimiser of the settings; what they do not name keeps Keras's default.

    On TensorFlow Adam is one kernel instead.
    """
    settings: dict[str, float] = {"learning_rate": config.learning_rate}
    if config.optimizer in OPTIMIZERS_WITH_EPSILON:
        settings["epsilon"] = config.epsilon
    keras = load_keras()
    optimizer = keras.optimizers.get({"class_name": config.optimizer, "config": settings})
    fuses = config.optimizer == "adam" and keras.backend.backend() == "tensorflow"
    return FusedAdam(optimizer) if fuses else optimizer


def check_learns(engine: str) -> None:
    """Refuse an engine that computes and does not learn, with ConfigError."""
    if engine == "openvino":
        raise ConfigError(
            "training needs an engine that learns, and KERAS_BACKEND=openvino only computes: "
            "unset KERAS_BACKEND for tensorflow"
        )


class SoftmaxTrainer:
    """Holds a head on the engine's device and improves it, a block of steps at a time.

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
        self._ops = keras.ops
        self._labels = head.labels
        self._class_weights = class_weights
        self._l2 = config.weight_decay
        with float32_by_default():
            # Not trainable for the engine: gradients are computed here, it records nothing.
            self._weights = keras.Variable(head.weights, trainable=False, name="weights")
            self._bias = keras.Variable(head.bias, trainable=False, name="bias")
            self._optimizer = make_optimizer(config)
            self._optimizer.build([self._weights, self._bias])
        variables = [self._weights, self._bias, *self._optimizer.variables]
        self._loop = make_loop(self._step, variables)
        validation_tensors = map(
            self._ops.convert_to_tensor, (validation.bottlenecks, validation.labels)
        )
        self._validation, (self._vectors, self._truth) = validation, validation_tensors

    @property
    def n_weights(self) -> int:
        """Number of weights, biases left out."""
        return int(np.prod(self._weights.shape))

    def train(self, block: Block) -> tuple[float, float]:
        """Take the steps of a block; returns the sums of their losses and right answers."""
        loss, hits = self._loop(block.table, block.places, block.labels)
        return float(loss), float(hits)

    def head(self) -> Head:
        """A copy of the head as it is now."""
        # An engine mostly hands out a copy of its own, which may be half a gigabyte: no other one.
        weights, bias = (
            np.require(variable.numpy(), requirements=["OWNDATA", "WRITEABLE"])
            for variable in (self._weights, self._bias)
        )
        return Head(self._labels, weights, bias)

    def measure(self) -> Score | None:
        """Measure the head as it is now on validation; None without images."""
        n_images, loss, hits = len(self._validation), 0.0, 0
        for rows in self._validation.chunks(len(self._labels)):
            truth = self._truth[rows]
            logs = self._log_probabilities(self._vectors[rows])
            own = self._ops.take_along_axis(logs, truth[:, None], axis=1)
            loss -= float(self._ops.sum(own))
            hits += int(self._ops.count_nonzero(self._right(logs, truth)))
        return Score(loss / n_images, hits / n_images) if n_images else None

    def _step(self, vectors: Tensor, labels: Tensor) -> Sums:
        """One optimiser step on `(n, width)` vectors; returns its loss and right answers."""
        ops = self._ops
        logs = self._log_probabilities(vectors)
        truth = ops.one_hot(labels, len(self._labels), dtype="float32")
        losses = ops.sum(ops.multiply(logs, truth), axis=1)
        hits = ops.sum(ops.cast(self._right(logs, labels), "float32"))
        error = ops.divide(ops.subtract(ops.exp(logs), truth), vectors.shape[0])
        if self._class_weights is not None:
            weight = ops.take(ops.convert_to_tensor(self._class_weights), labels, axis=0)
            losses = ops.multiply(losses, weight)
            error = ops.multiply(error, weight[:, None])
        loss = -ops.mean(losses)
        gradient = ops.matmul(ops.transpose(vectors), error)
        if self._l2:
            loss = ops.add(loss, self._l2 / 2 * ops.sum(ops.square(self._weights)))
            gradient = ops.add(gradient, ops.multiply(self._weights, self._l2))
        self._optimizer.apply([gradient, ops.sum(error, axis=0)], [self._weights, self._bias])
        return loss, hits

    def _log_probabilities(self, vectors: Tensor) -> Tensor:
        logits = self._ops.add(self._ops.matmul(vectors, self._weights), self._bias)
        return self._ops.log_softmax(logits, axis=1)

    def _right(self, logs: Tensor, labels: Tensor) -> Tensor:
        return self._ops.equal(self._ops.cast(self._ops.argmax(logs, axis=1), "int32"), labels)
