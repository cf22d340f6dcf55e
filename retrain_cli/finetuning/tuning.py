"""The second phase: the layers above the freeze point and the head, together, at a low rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.errors import ConfigError, setting
from retrain_cli.finetuning.batch_drawing import BatchDraw
from retrain_cli.finetuning.batch_sources import BatchSource, read_ahead
from retrain_cli.finetuning.epoch_state import EpochState, StateFile
from retrain_cli.finetuning.tuned_network import Schedule, TunedNetwork
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow, StoppedBy
from retrain_cli.heads.validation import MOST_IMAGES, Score, ValidationSet, drawn, most_fitted

ROWS_AT_ONCE = 64
"""Photos of a forward pass without training."""


@dataclass(frozen=True)
class TuningProgress:
    """Told during and after each epoch.

    Attributes:
        epoch: the epoch that is running, or has just ended, from 1.
        epochs: how many there will be at most.
        step: steps of this epoch that are done.
        steps: steps of an epoch.
        row: the evaluation, where the epoch has ended; else None.
        is_best: whether that is the best so far.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    row: HistoryRow | None = None
    is_best: bool = False


TuningListener = Callable[[TuningProgress], None]


@dataclass(frozen=True, eq=False)
class TuningResult:
    """How it went; the network is as it was after the best epoch.

    Attributes:
        history: the evaluations, of the head alone first.
        best_epoch: the epoch that was kept; 0 where no epoch was better than the head alone.
        epochs: how many were made.
        steps: steps of an epoch.
        stopped_by: why it ended.
    """

    history: tuple[HistoryRow, ...]
    best_epoch: int
    epochs: int
    steps: int
    stopped_by: StoppedBy

    @property
    def before(self) -> HistoryRow:
        """The head alone."""
        return self.history[0]

    @property
    def best(self) -> HistoryRow:
        """What was kept."""
        return self.history[self.best_epoch]


class Tuning:
    """One fine-tuning: epochs, evaluations, and the reasons to stop.

    The best epoch has the lowest loss on validation, of equals the highest accuracy; the head alone
    competes as epoch 0. Without validation photos the last epoch is kept.

    Args:
        network: what is trained, with the first head.
        source: gives the numbers of each photo.
        data: which photos train and which validate; bottlenecks are those of the head alone.
        config: the settings.
        state: keeps where it stands.
        on_progress: is told of steps and epochs.
        fresh: whether views are decoded anew, so that each epoch can have others.
    """

    def __init__(
        self,
        network: TunedNetwork,
        source: BatchSource,
        data: HeadData,
        config: TuningConfig,
        state: StateFile,
        on_progress: TuningListener = lambda progress: None,
        *,
        fresh: bool = False,
    ) -> None:
        self._network, self._source, self._data = network, source, data
        self._config, self._state = config, state
        self._listen = on_progress
        self._draw = BatchDraw(data, config, fresh=fresh)
        self.steps = self._draw.steps
        self._validation = drawn(data.validation, MOST_IMAGES, config.seed)
        self._rows: list[HistoryRow] = []
        self._best: list[NDArray[Any]] = []
        self._best_epoch, self._done = 0, 0

    def run(self, head: Head, resumed: EpochState | None = None) -> TuningResult:
        """Train from the first head, or from where a training was cut short, to the end.

        Ctrl-C ends it with the best epoch so far.

        Args:
            head: the head alone, which every epoch has to beat.
            resumed: where a training was cut short.

        Raises:
            ConfigError: training diverges.
            KeyboardInterrupt: Ctrl-C came before the first epoch was done.
        """
        total = self.steps * self._config.epochs
        rate = self._config.rate_for(len(self._data.training), self._data.n_classes)
        self._network.compile(Schedule.of(self._config, rate, total))
        if resumed is None:
            self._rows = [self._row_of_head(head)]
        start = self._network.weights()
        if resumed is not None:
            self._go_on(resumed)
        with interrupts.held():
            try:
                stopped_by = self._run()
            except KeyboardInterrupt:
                if not self._done:
                    raise
                stopped_by = "interrupt"
            self._network.set_weights(self._best or start)
            return TuningResult(
                tuple(self._rows), self._best_epoch, self._done, self.steps, stopped_by
            )

    def _go_on(self, state: EpochState) -> None:
        self._network.set_weights(state.weights)
        self._network.set_optimizer_state(state.optimizer)
        self._rows, self._best = list(state.rows), list(state.best)
        self._done, self._best_epoch = state.epoch, state.best_epoch

    def _run(self) -> StoppedBy:
        while self._done < self._config.epochs:
            if self._out_of_patience:
                return "patience"
            loss, accuracy = self._epoch(self._done + 1)
            self._end_epoch(loss, accuracy)
        return "steps"

    @property
    def _out_of_patience(self) -> bool:
        patience = self._config.patience
        return patience is not None and self._done - self._best_epoch >= patience

    def _epoch(self, epoch: int) -> tuple[float, float]:
        """All steps of an epoch; mean loss and share of right answers in it."""
        batches = list(self._draw.epoch(epoch))
        sums = np.zeros(2)
        with closing(read_ahead(self._source, (rows for rows, _ in batches))) as fed:
            for step, ((_, labels), arrays) in enumerate(zip(batches, fed, strict=True), start=1):
                interrupts.check()
                sums += self._network.train(arrays, labels)
                self._listen(TuningProgress(epoch, self._config.epochs, step, self.steps))
        loss, accuracy = (sums / self.steps).tolist()
        if not math.isfinite(loss):
            raise ConfigError(
                f"training must stay finite, but in epoch {epoch} the loss is {loss}: lower "
                f"{setting('learning_rate')}"
            )
        return loss, accuracy

    def _end_epoch(self, loss: float, accuracy: float) -> None:
        self._done += 1
        row = HistoryRow(self._done * self.steps, loss, accuracy)
        score = self._measure()
        if score is not None:
            row = HistoryRow(row.step, loss, accuracy, score.loss, score.accuracy)
        self._rows.append(row)
        is_best = _is_better(row, self._rows[self._best_epoch])
        if is_best:
            self._best, self._best_epoch = self._network.weights(), self._done
        self._state.save(
            EpochState(
                self._done,
                self._best_epoch,
                tuple(self._rows),
                self._network.weights(),
                self._network.optimizer_state(),
                self._best,
            )
        )
        told = TuningProgress(self._done, self._config.epochs, self.steps, self.steps, row, is_best)
        self._listen(told)

    def _measure(self) -> Score | None:
        """How good network and head are on validation now; None without photos."""
        if not len(self._validation):
            return None
        vectors = vectors_of(self._network, self._source, self._validation)
        return judge(self._network.head(), vectors, self._data.labels[self._validation])

    def _row_of_head(self, head: Head) -> HistoryRow:
        """The head alone, on the bottlenecks that it was trained on."""
        data = self._data
        rows = data.training[:MOST_IMAGES]
        trained = ValidationSet(data.bottlenecks[rows], data.labels[rows]).measure(head)
        rows = self._validation
        judged = judge(head, data.bottlenecks[rows], data.labels[rows])
        assert trained is not None
        if judged is None:
            return HistoryRow(0, trained.loss, trained.accuracy)
        return HistoryRow(0, trained.loss, trained.accuracy, judged.loss, judged.accuracy)


def judge(head: Head, vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> Score | None:
    """How good a head is on photos, its scores fitted to them; None without photos.

    Scores are fitted in any case when training ends, so that epochs are told apart by what they
    know and not by how sure they are of it: fine-tuned networks are too sure.
    """
    images = ValidationSet(vectors, labels)
    fitted = images.only(most_fitted(head.n_classes), seed=0).temperature(head)
    judged = head if fitted is None else head.at_temperature(fitted)
    return images.measure(judged)


def vectors_of(
    network: TunedNetwork,
    source: BatchSource,
    rows: NDArray[np.int64],
    out: NDArray[np.float32] | None = None,
    on_photo: Callable[[int, int], None] = lambda done, total: None,
) -> NDArray[np.float32]:
    """Bottlenecks of photos as the network is now, `(len(rows), width) float32`.

    Args:
        network: what computes.
        source: gives the numbers of each photo.
        rows: the photos, by their rows in the dataset.
        out: where to put them; None for a new array.
        on_photo: is told how many are done, and how many there are.
    """
    matrix = np.empty((len(rows), network.width), np.float32) if out is None else out
    size = min(ROWS_AT_ONCE, len(rows))
    starts = range(0, len(rows), size or 1)
    # All batches are of one shape; what is too many of the last one is dropped.
    batches = [rows[np.minimum(np.arange(at, at + size), len(rows) - 1)] for at in starts]
    with closing(read_ahead(source, batches)) as fed:
        for at, arrays in zip(starts, fed, strict=True):
            count = min(size, len(rows) - at)
            matrix[at : at + count] = network.vectors(arrays)[:count]
            on_photo(at + count, len(rows))
    return matrix


def _is_better(row: HistoryRow, best: HistoryRow) -> bool:
    if row.validation_loss is None or best.validation_loss is None:
        return True
    own, other = (
        Score(one.validation_loss or 0.0, one.validation_accuracy or 0.0) for one in (row, best)
    )
    return own.better_than(other)
