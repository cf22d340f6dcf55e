"""Epochs until the accuracy on validation has not risen for a while, as Patel (2019) trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.checks import check_choices, check_least, check_positive
from retrain_cli.errors import ConfigError, setting
from retrain_cli.finetuning.tuning_config import BatchNorm, TuningConfig, TuningOptimizer
from retrain_cli.heads.data import HeadData
from retrain_cli.studies.source_target.lessons import SchemeScore

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class FreezeRules:
    """How a network is trained; rate, optimiser and patience are those of the paper.

    Attributes:
        learning_rate: the same in all steps.
        epochs: how often each photo is seen at most.
        patience: epochs without a better accuracy on validation after which training stops.
        batch_size: photos a step.
        optimizer: sgd has momentum 0.9.
        batch_norm: frozen layers of batch normalisation keep statistics, scale and offset.
    """

    learning_rate: float = 1e-4
    epochs: int = 50
    patience: int = 5
    batch_size: int = 32
    optimizer: TuningOptimizer = "sgd"
    batch_norm: BatchNorm = "frozen"

    def validate(self) -> FreezeRules:
        """Return self.

        Raises:
            ConfigError: a setting that cannot work.
        """
        check_choices(self)
        check_least(self, 1, "epochs", "patience", "batch_size")
        check_positive(self, "learning_rate")
        return self

    def tuning(self, trainable: str, seed: int, *, stream: bool = False) -> TuningConfig:
        """The same as the settings of a fine-tuning, without weight decay."""
        return TuningConfig(
            trainable=trainable,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            optimizer=self.optimizer,
            batch_size=self.batch_size,
            warm_up=0.0,
            schedule="constant",
            l2=0.0,
            batch_norm=self.batch_norm,
            stream=stream,
            seed=seed,
        )


class EpochRow(NamedTuple):
    """What an epoch gave.

    Attributes:
        loss: mean over its steps.
        accuracy: share of right answers in them.
        validation_loss: after it, in nats.
        validation_accuracy: after it.
    """

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class StoppedTraining:
    """How a training went; what was trained is as it was after the best epoch.

    Attributes:
        rows: of each epoch.
        best_epoch: the first of the highest accuracy on validation, from 1.
        stopped: whether patience ended it, and not the number of epochs.
    """

    rows: tuple[EpochRow, ...]
    best_epoch: int
    stopped: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        rows = [list(row) for row in self.rows]
        return {"rows": rows, "best_epoch": self.best_epoch, "stopped": self.stopped}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoppedTraining:
        """The inverse of `to_dict`."""
        rows = tuple(EpochRow(*row) for row in values["rows"])
        return cls(rows, values["best_epoch"], values["stopped"])


class EpochLearner(Protocol):
    """What is trained an epoch at a time."""

    def learn(self, epoch: int) -> tuple[float, float]:
        """Train an epoch, from 1; mean loss and share of right answers in it."""
        ...

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """Scores of photos, `(len(rows), n_classes)`."""
        ...

    def weights(self) -> list[NDArray[Any]]:
        """Copies of what training changes."""
        ...

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        """Go back to what `weights` gave."""
        ...


def train_until_stop(
    learner: EpochLearner,
    data: HeadData,
    epochs: int,
    patience: int,
    heed: Callable[[], None] = lambda: None,
) -> StoppedTraining:
    """Train until validation tells to stop, and go back to the best epoch.

    Args:
        learner: what is trained.
        data: which photos validate, and all labels.
        epochs: at most.
        patience: epochs without a better accuracy.
        heed: is called between epochs; what it raises ends the training.

    Raises:
        ConfigError: training diverges.
    """
    rows: list[EpochRow] = []
    best_epoch, best_weights = 0, learner.weights()
    while len(rows) < epochs and len(rows) - best_epoch < patience:
        heed()
        loss, accuracy = learner.learn(len(rows) + 1)
        score = SchemeScore.of(learner.logits(data.validation), data.labels[data.validation])
        if not (math.isfinite(loss) and math.isfinite(score.loss)):
            raise ConfigError(
                f"training must stay finite, but in epoch {len(rows) + 1} the loss is {loss}: "
                f"lower {setting('FreezeStudy.learning_rate')}"
            )
        rows.append(EpochRow(loss, accuracy, score.loss, score.accuracy))
        if best_epoch == 0 or score.accuracy > rows[best_epoch - 1].validation_accuracy:
            best_epoch, best_weights = len(rows), learner.weights()
    learner.set_weights(best_weights)
    return StoppedTraining(tuple(rows), best_epoch, len(rows) - best_epoch >= patience)
