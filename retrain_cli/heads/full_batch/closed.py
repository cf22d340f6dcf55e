"""Trainings that end with a finished head: ridge regression, and the choice among optimisers."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from retrain_cli import interrupts
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch.choosing import choose_optimizer
from retrain_cli.heads.full_batch.ridge import RidgePath
from retrain_cli.heads.full_batch.training_rows import TrainingRows
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow, ProgressListener, TrainedHead
from retrain_cli.heads.temperature import ScoreFit
from retrain_cli.heads.tracker import Tracker
from retrain_cli.heads.validation import ValidationSet


class TrainHead(Protocol):
    """`train_head`, which this module cannot import."""

    def __call__(
        self,
        data: HeadData,
        config: TrainingConfig,
        *,
        initial: Head | None = ...,
        on_progress: ProgressListener = ...,
        memory_limit: int | None = ...,
    ) -> TrainedHead:
        """Train a head."""


def train_ridge(
    data: HeadData, config: TrainingConfig, tracker: Tracker, memory_limit: int | None
) -> TrainedHead:
    """Fit a ridge regression; `l2` of the settings is its penalty, None chooses one."""
    part = data.with_spare()
    with interrupts.held():
        path = RidgePath(TrainingRows(part, config, memory_limit), config.seed)
        choice = path.choose(config.l2)
        head = path.head(choice.l2, choice.temperature)
        score = ValidationSet.of(part, config.seed).measure(head)
        measured = (score.loss, score.accuracy) if score else (None, None)
        tracker.record(HistoryRow(1, choice.log_loss, choice.accuracy, *measured), lambda: head)
    fit = ScoreFit(choice.temperature, choice.n_judged, "left out", choice.l2, choice.log_loss)
    return replace(tracker.result("converged"), fit=fit, took_spare=True)


def train_auto(
    data: HeadData,
    config: TrainingConfig,
    train_head: TrainHead,
    tracker: Tracker,
    memory_limit: int | None,
) -> TrainedHead:
    """Train with the optimiser that suits the images best."""

    def train(part: HeadData, settings: TrainingConfig, initial: Head | None) -> TrainedHead:
        return train_head(part, settings, initial=initial, memory_limit=memory_limit)

    choice = choose_optimizer(data, config, train, memory_limit)
    l2 = choice.l2 if choice.optimizer == "lbfgs" else config.l2
    settings = replace(config, optimizer=choice.optimizer, l2=l2)
    start = None
    if choice.optimizer == "lbfgs":
        settings, start = replace(settings, steps=min(config.steps, choice.steps)), choice.start
    part = data if choice.optimizer == "adam" else data.with_spare()
    trained = train_head(
        part, settings, initial=start, on_progress=tracker.listener, memory_limit=memory_limit
    )
    fit = trained.fit
    if choice.optimizer == "lbfgs" and choice.n_images:
        head = trained.head.at_temperature(choice.temperature)
        trained = replace(trained, head=head, took_spare=True)
        loss = choice.log_losses["lbfgs"]
        fit = ScoreFit(choice.temperature, choice.n_images, "left out", choice.l2, loss)
    fit = fit or ScoreFit(1.0, 0, "validation")
    picked = replace(fit, picked=choice.optimizer, log_losses={**choice.log_losses})
    return replace(trained, fit=picked)
