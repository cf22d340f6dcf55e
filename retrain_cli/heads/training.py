"""The one training loop: every head of every command and study is trained by `train_head`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.errors import ConfigError, RunError, setting
from retrain_cli.heads.balancing.class_prior import ClassPrior, Prior
from retrain_cli.heads.balancing.class_weights import balanced_class_weights
from retrain_cli.heads.balancing.resampling import resampled
from retrain_cli.heads.config import CLOSED, TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import (
    HistoryRow,
    ProgressListener,
    StoppedBy,
    TrainedHead,
    TrainingProgress,
)
from retrain_cli.heads.layered.dropping import most_steps
from retrain_cli.heads.layered.normalising import make_normaliser
from retrain_cli.heads.layered.parameters import check_same_make, initial_head
from retrain_cli.heads.layered.trainers import LayeredTrainer, NumpyLayeredTrainer
from retrain_cli.heads.numpy_softmax import NumpySoftmaxTrainer, suits_numpy
from retrain_cli.heads.rows import Block, Feeder, blocks, in_memory, make_feeder, on_device
from retrain_cli.heads.sampling import Sampler, make_sampler
from retrain_cli.heads.softmax import SoftmaxTrainer
from retrain_cli.heads.tracker import Tracker
from retrain_cli.heads.validation import Score, ValidationSet

TRAINING_RULES = 2
"""Raised when equal settings come to give another head, so that a study does not mix both.

1 kept the head of the highest accuracy on validation, 2 keeps that of the lowest loss.
"""

_MOST_BLOCK_STEPS = 100  # in one call of the engine: Ctrl-C waits for its end
_MOST_BLOCK_FLOPS = 2e11  # likewise, where many classes make a step slow: about a second


class Trainer(Protocol):
    """Holds a head and improves it, a block of steps at a time."""

    def __init__(
        self,
        head: Head,
        config: TrainingConfig,
        validation: ValidationSet,
        class_weights: NDArray[np.float32] | None = None,
    ) -> None:
        """Start from a head; `(n_classes,)` weights in the loss, None for equal ones."""

    @property
    def n_weights(self) -> int:
        """Number of weights, biases left out."""

    def train(self, block: Block) -> tuple[float, float]:
        """Take the steps of a block; returns the sums of their losses and right answers."""

    def head(self) -> Head:
        """A copy of the head as it is now."""

    def measure(self) -> Score | None:
        """Measure the head as it is now on validation; None without images."""


def ignore_progress(progress: TrainingProgress) -> None:
    """The listener of those who do not care."""


def train_head(
    data: HeadData,
    config: TrainingConfig,
    *,
    initial: Head | None = None,
    on_progress: ProgressListener = ignore_progress,
    memory_limit: int | None = None,
    alone: bool = True,
) -> TrainedHead:
    """Train a head; equal arguments give equal numbers on the same machine.

    Ctrl-C ends training with what was reached so far. `config.examples_per_class` and
    `config.classes` are not looked at here: choose before (`select_training`, `select_classes`).

    Args:
        data: what to train on.
        config: the training settings.
        initial: a head to continue from, of the same width; classes may differ in part.
        on_progress: is told of each evaluation.
        memory_limit: bytes that training vectors may take before they are read from `data` block
            by block instead; None for half of what is available.
        alone: no other head is trained in this process meanwhile. Small heads are trained in NumPy
            then, where that is faster; the numbers are the engine's but for rounding.

    Raises:
        ConfigError: a setting cannot work, or the learning rate is so high that training diverges.
        MissingExtraError: the balance is smote, and imbalanced-learn is not installed.
        DatasetError: a class without training images, or fewer than two classes.
        RunError: the bottlenecks are not finite, or `initial` does not fit them.
        KeyboardInterrupt: Ctrl-C came before the first step was made.
    """
    with interrupts.heeded():  # nothing is lost yet, and an engine takes long to load
        config.validate()
        data.check()
        whole, wanted = data, config
        data = resampled(data, config, memory_limit)
        config, initial = _natural(config), _taken_up(initial, config)
        normaliser = make_normaliser(data, config, initial)
        start = _start(data, config, initial)
        if normaliser is not None:
            data = replace(data, transform=normaliser, layer_widths=())
            start = start if initial is None else normaliser.inner(start)
            config = replace(config, normalise="none")
        tracker = Tracker(config, on_progress)
        train = _prepare(data, config, start, initial is None, tracker, memory_limit, alone)
        del start  # a trainer has a copy, and of very many classes each one is large
    trained = train()
    if normaliser is not None:
        trained = replace(trained, head=normaliser.outer(trained.head))
    return trained if wanted.balance != "prior" else _with_prior(trained, whole, wanted)


def _natural(config: TrainingConfig) -> TrainingConfig:
    """The settings of what is trained before a prior is taken off; themselves where none is."""
    if config.balance != "prior":
        return config
    usual = TrainingConfig()
    return replace(config, balance="none", prior=usual.prior, tau=usual.tau)


def _taken_up(initial: Head | None, config: TrainingConfig) -> Head | None:
    """The head to go on from, with scores of the kind that the training comes to."""
    if initial is None:
        return None
    kind: Prior = "natural" if config.learns_natural else "uniform"
    return replace(initial.for_prior(kind), prior=None)


def _with_prior(trained: TrainedHead, data: HeadData, config: TrainingConfig) -> TrainedHead:
    """The head that knows the classes' shares of training, which are taken off where asked for."""
    rows = (data.with_spare() if trained.took_spare else data).training
    prior = ClassPrior.of(data.labels[rows], data.n_classes, config.tau)
    head = replace(trained.head, prior=prior).for_prior(config.prior)
    return replace(trained, head=head)


def _prepare(
    data: HeadData,
    config: TrainingConfig,
    start: Head,
    is_new: bool,
    tracker: Tracker,
    memory_limit: int | None,
    alone: bool,
) -> Callable[[], TrainedHead]:
    """Everything but the training itself."""
    if not is_new and config.optimizer in CLOSED:
        raise ConfigError(
            f"{setting('init_from')} goes on with a head step by step, and "
            f"{setting('optimizer', config.optimizer)} makes one anew: leave one of them out"
        )
    validation = ValidationSet.of(data, config.seed)
    if not is_new:
        tracker.start_from(start, validation.measure(start))
    if config.optimizer in CLOSED:
        from retrain_cli.heads.full_batch.closed import train_auto, train_ridge  # scipy

        if config.optimizer == "ridge":
            return lambda: train_ridge(data, config, tracker, memory_limit)
        train = partial(train_head, alone=alone)
        return lambda: train_auto(data, config, train, tracker, memory_limit)
    if config.optimizer == "lbfgs":
        from retrain_cli.heads.full_batch.lbfgs import Objective, train_lbfgs  # scipy

        objective = Objective(data, config, memory_limit)
        return lambda: train_lbfgs(objective, config, start, validation, tracker)
    in_numpy = alone and suits_numpy(config, start)
    place = in_memory if in_numpy else on_device
    feeder = make_feeder(data, config.batch_size, memory_limit, place)
    labels = data.labels[data.training]
    sampler = make_sampler(config.sampling, labels, config.seed)
    weigh = config.balance == "weights"
    class_weights = balanced_class_weights(labels, data.n_classes) if weigh else None
    trainer = _trainer_for(config, in_numpy=in_numpy)(start, config, validation, class_weights)
    most = min(feeder.max_steps, most_steps(config, data.width))
    return _GradientLoop(config, trainer, feeder, sampler, tracker, most).run


def _trainer_for(config: TrainingConfig, *, in_numpy: bool) -> type[Trainer]:
    if config.is_layered:
        return NumpyLayeredTrainer if in_numpy else LayeredTrainer
    return NumpySoftmaxTrainer if in_numpy else SoftmaxTrainer


def _start(data: HeadData, config: TrainingConfig, initial: Head | None) -> Head:
    if initial is None:
        return initial_head(data.class_names, data.width, config)
    if initial.width != data.width:
        raise RunError(
            f"a head can be continued only on bottlenecks of its own width, {initial.width}, but "
            f"these are {data.width} wide: use the backbone of that run, or leave out "
            f"{setting('init_from')}"
        )
    check_same_make(initial, config)
    return initial.extended_to(data.class_names)


class _GradientLoop:
    """Steps, evaluations, and the reasons to stop."""

    def __init__(
        self,
        config: TrainingConfig,
        trainer: Trainer,
        feeder: Feeder,
        sampler: Sampler,
        tracker: Tracker,
        most_steps: int,
    ) -> None:
        self._config, self._trainer, self._tracker = config, trainer, tracker
        self._feeder, self._sampler = feeder, sampler
        step_flops = 4.0 * config.batch_size * trainer.n_weights
        by_flops = max(1, int(_MOST_BLOCK_FLOPS / step_flops))
        self._block_steps = min(_MOST_BLOCK_STEPS, by_flops, most_steps)
        self._done = 0
        # Of losses and right answers, over the steps since the last evaluation.
        self._sums = np.zeros(2)
        self._evaluated = 0

    def run(self) -> TrainedHead:
        """Train to the end, or to the end of the block in which Ctrl-C comes."""
        with interrupts.held():
            try:
                return self._tracker.result(self._run())
            except KeyboardInterrupt:
                if not self._done:
                    raise
                if self._evaluated < self._done:
                    self._evaluate()
                return self._tracker.result("interrupt")

    def _run(self) -> StoppedBy:
        with closing(blocks(self._feeder, self._drawn())) as fed:
            for block, end in zip(fed, self._ends(), strict=True):
                interrupts.check()
                self._sums += self._trainer.train(block)
                self._done = end
                if end % self._config.eval_every and end < self._config.steps:
                    continue
                self._evaluate()
                if self._tracker.out_of_patience:
                    return "patience"
        return "steps"

    def _ends(self) -> Iterator[int]:
        """The steps at which blocks end; every evaluation is at the end of one."""
        done = 0
        while done < self._config.steps:
            evaluation = (done // self._config.eval_every + 1) * self._config.eval_every
            done = min(done + self._block_steps, evaluation, self._config.steps)
            yield done

    def _drawn(self) -> Iterator[NDArray[np.int64]]:
        """The positions of each block among the training images."""
        done = 0
        for end in self._ends():
            yield self._sampler.draw(end - done, self._config.batch_size)
            done = end

    def _evaluate(self) -> None:
        n_steps = self._done - self._evaluated
        loss, hits = self._sums.tolist()
        accuracy = hits / (n_steps * self._config.batch_size)
        row = _row(self._done, loss / n_steps, accuracy, self._trainer.measure())
        self._sums, self._evaluated = np.zeros(2), self._done
        self._tracker.record(row, self._trainer.head)


def _row(step: int, loss: float, accuracy: float, score: Score | None) -> HistoryRow:
    if score is None:
        return HistoryRow(step, loss, accuracy)
    return HistoryRow(step, loss, accuracy, score.loss, score.accuracy)
