"""Keeps the history of a training and its best head, and tells when patience is at its end."""

from __future__ import annotations

import math
from collections.abc import Callable

from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import (
    HistoryRow,
    ProgressListener,
    StoppedBy,
    TrainedHead,
    TrainingProgress,
)
from retrain_cli.heads.validation import Score


class Tracker:
    """Records evaluations.

    The best head has the lowest validation loss, of equals the highest validation accuracy, of
    equals it came first. Without validation images it is the last; so it is where the settings
    choose none (`TrainingConfig.chooses`).

    Args:
        config: the training settings.
        listener: is told of each evaluation.
    """

    def __init__(self, config: TrainingConfig, listener: ProgressListener) -> None:
        self._config = config
        self.listener = listener
        self._rows: list[HistoryRow] = []
        self._best: Head | None = None
        self._best_step = 0
        self._best_score: Score | None = None
        self._since_best = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was recorded yet."""
        return not self._rows

    @property
    def out_of_patience(self) -> bool:
        """Whether there were as many evaluations without improvement as `patience` allows."""
        return self._config.patience is not None and self._since_best >= self._config.patience

    def start_from(self, head: Head, score: Score | None) -> None:
        """Let a head that training continues from compete for the best."""
        self._best, self._best_score = head, score

    def record(self, row: HistoryRow, head: Callable[[], Head]) -> None:
        """Record an evaluation; the head is asked for only if it is the best so far.

        Raises:
            ConfigError: the loss is no number any more.
        """
        self._check(row)
        self._rows.append(row)
        score = _score(row)
        if self._improves(score):
            self._best = None  # two at a time are not needed, and of very many classes large
            self._best, self._best_score, self._best_step = head(), score, row.step
            self._since_best = 0
        else:
            self._since_best += 1
        accuracy = self._best_score.accuracy if self._best_score else None
        self.listener(TrainingProgress(row, self._config.steps, self._best_step, accuracy))

    def result(self, stopped_by: StoppedBy) -> TrainedHead:
        """What came of it; at least one evaluation was recorded or a head started from."""
        assert self._best is not None
        return TrainedHead(self._best, tuple(self._rows), self._best_step, stopped_by)

    def _improves(self, score: Score | None) -> bool:
        if not self._config.chooses or score is None:
            return True
        if self._best is None or self._best_score is None:
            return True
        return score.better_than(self._best_score)

    def _check(self, row: HistoryRow) -> None:
        if not math.isfinite(row.loss):
            raise ConfigError(
                f"training must stay finite, but at step {row.step} the loss is {row.loss}: "
                f"lower {setting('learning_rate')}, which is {self._config.learning_rate:g}"
            )


def _score(row: HistoryRow) -> Score | None:
    if row.validation_loss is None or row.validation_accuracy is None:
        return None
    return Score(row.validation_loss, row.validation_accuracy)
