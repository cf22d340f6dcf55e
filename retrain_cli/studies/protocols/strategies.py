"""`study strategies`: a head on the top, on an earlier layer, fine-tune a part, fine-tune all.

A. Trivedi, "Deep Learning: Transfer learning and fine tuning of deep convolutional neural
networks", names two things that the choice depends on, the size of the new dataset and its
similarity to the original one, and gives four scenarios. Here all four strategies are run on the
same photos at several sizes, and the test photos say which was the best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, get_args

import numpy as np

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.checks import check_least
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.finetuning.tuning_config import DEFAULT_TRAINABLE, TuningConfig
from retrain_cli.heads.full_batch.layer_choice import choose_layers
from retrain_cli.heads.history import HistoryRow, TrainedHead, TrainingProgress
from retrain_cli.heads.sampling import select_training
from retrain_cli.heads.training import train_head
from retrain_cli.studies.head_trial import HeadOutcome
from retrain_cli.studies.strategies.strategy_tables import Strategy, show_strategies
from retrain_cli.studies.strategies.tuned_trials import Bench, tune
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    option,
    repeated,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext

AUTO, ALL_LAYERS = "auto", "all"
FEWEST = 3
"""Training photos of each class that an earlier layer is chosen by."""
_PER_VALIDATION = 4
"""Training photos to one of validation."""

OpenBench = Callable[[StudyData, TuningConfig], AbstractContextManager[Bench]]


@dataclass(frozen=True, eq=False)
class StrategiesStudy(Study):
    """Heads on the top and on an earlier layer, fine-tuning of a part and of all: which is best?

    The four strategies of another paper, for small and large datasets that are similar to the
    original one or different from it, run on your photos at several sizes.

    Attributes:
        backbone: that of all blocks side by side.
        open_bench: gives the network to fine-tune, for the photos and what is trained of it.
        sizes: photos a class that train; of a class with fewer all of them.
        strategies: those that are run.
        layer: where the head on an earlier layer is trained.
        part: what is fine-tuned of the network.
        epochs: of fine-tuning.
        classes: the classes that take part; () for all.
    """

    name: ClassVar[str] = "strategies"
    family: ClassVar[str] = "strategies"
    most_workers: ClassVar[int | None] = 1  # a network keeps all cores busy, and trials are timed

    backbone: BackboneSpec
    open_bench: OpenBench
    sizes: tuple[int, ...] = option(
        (5, 20, 80), "Training photos a class, such as 5,20,80; of a class with fewer, all."
    )
    strategies: tuple[str, ...] = option(
        get_args(Strategy), "Which are run: top, earlier, part, all. All layers take the longest."
    )
    layer: str = option(
        AUTO,
        "The earlier layer that a head is trained on: its name, or auto, which takes the best one "
        "but the last by cross-validation on the training photos.",
    )
    part: str = option(DEFAULT_TRAINABLE, "What is fine-tuned of a network in part.")
    epochs: int = option(TuningConfig().epochs, "How often fine-tuning sees each photo.")
    classes: tuple[str, ...] = option((), "These classes only, such as ant,bee.")

    @property
    def vectors_of(self) -> BackboneSpec:
        """See `Study.vectors_of`."""
        return self.backbone

    def tuning(self, strategy: str, seed: int = 0) -> TuningConfig:
        """The settings of fine-tuning: the defaults of `finetune` but for what is trained."""
        trainable = self.part if strategy == "part" else ALL_LAYERS
        return TuningConfig(trainable, self.epochs, seed=seed)

    def protocol(self) -> dict[str, Any]:
        """See `Study.protocol`; what only some strategies depend on is in their conditions."""
        return {"per_validation": _PER_VALIDATION, "version": 1}

    def condition(self, strategy: str, size: int) -> str:
        """What tells its trials from all others, in words."""
        facts = {
            "top": "head on the top",
            "earlier": f"head on an earlier layer ({self.layer})",
            "part": f"fine-tune {self.part}, {self.epochs} epochs",
            "all": f"fine-tune all, {self.epochs} epochs",
        }
        return f"{facts[strategy]}, {size} a class"

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: a setting that cannot work, or a class that does not exist.
            DatasetError: too few photos.
        """
        self._check()
        check_photos(data, settings, self.classes, self._fewest)
        chosen = {"classes": self.classes} if self.classes else {}
        return [
            trial
            for size in self.usable_sizes(data, settings)
            for strategy in self.strategies
            for trial in repeated(
                settings, self.condition(strategy, size), examples_per_class=size, **chosen
            )
        ]

    def _check(self) -> None:
        check_least(self, 1, "epochs")
        known = get_args(Strategy)
        if not self.strategies or set(self.strategies) - set(known):
            raise ConfigError(
                f"{setting('strategies')} takes some of {', '.join(known)}; received "
                f"{', '.join(self.strategies) or 'nothing'}: name one at least"
            )
        if not self.sizes or min(self.sizes) < 1:
            raise ConfigError(
                f"{setting('sizes')} must be at least 1 photo a class, not "
                f"{min(self.sizes, default='nothing')}"
            )
        earlier = self.backbone.layers[:-1]
        if self.layer != AUTO and self.layer not in earlier:
            raise ConfigError(
                f"{setting('layer')} takes {AUTO} or a layer below the last, and {self.layer!r} is "
                f"none of them: {', '.join(earlier)}"
            )
        if self._fewest > min(self.sizes):
            raise ConfigError(
                f"an earlier layer is chosen by {FEWEST} training photos of each class at least, "
                f"and {setting('sizes')} has {min(self.sizes)}: leave that size out, or name a "
                f"layer with {setting('layer')}"
            )
        for strategy in ("part", "all"):
            self.tuning(strategy)

    @property
    def _fewest(self) -> int:
        """Training photos that each class must have."""
        return FEWEST if "earlier" in self.strategies and self.layer == AUTO else 1

    def usable_sizes(self, data: StudyData, settings: StudySettings) -> tuple[int, ...]:
        """The sizes, ascending, without those that add no photo to the one before."""
        seen = (self._selected(data, settings, seed) for seed in settings.seeds)
        largest = max(int(one.n_training().max()) for one in seen)
        ascending = sorted(set(self.sizes))
        pairs = zip([0, *ascending], ascending, strict=False)
        return tuple(size for before, size in pairs if before < largest)

    def _selected(self, data: StudyData, settings: StudySettings, seed: int) -> StudyData:
        return data.select(replace(settings.training, seed=seed, classes=self.classes or None))

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train by one strategy, and count its right answers."""
        strategy = next(
            one
            for one in self.strategies
            if trial.condition == self.condition(one, trial.config.examples_per_class or 0)
        )
        if strategy == "earlier":
            return self._on_earlier_layer(data, trial, context)
        last = len(self.backbone.layers) - 1
        part = with_fewer_validation(data.of_layers((last,)).select(trial.config), trial)
        started = time.perf_counter()
        alone = _head(part, trial, context)
        seconds = time.perf_counter() - started
        if strategy == "top":
            return {**_outcome(part, alone), "seconds": seconds}
        config = self.tuning(strategy, trial.config.seed)
        with self.open_bench(data, config) as bench:
            found = tune(bench, part, alone.head, config, lambda: _heed(context))
        own = HeadOutcome.of(part, alone)
        tuned = replace(own, counts=found.counts()).to_dict()
        return {
            **(tuned if found.kept else own.to_dict()),
            "seconds": seconds + found.seconds,
            "kept": found.kept,
            "best_epoch": found.best_epoch,
            "building": found.building,
            "unguarded": tuned,
        }

    def _on_earlier_layer(
        self, data: StudyData, trial: Trial, context: TrialContext
    ) -> Mapping[str, Any]:
        earlier = tuple(range(len(self.backbone.layers) - 1))
        started = time.perf_counter()
        if self.layer == AUTO:
            lower = data.of_layers(earlier)
            part = lower.select(trial.config)
            widths = data.data.layer_widths[:-1]
            seed = trial.config.seed
            choice = choose_layers(part.data, widths, seed, 1, lambda: _heed(context))
            place = int(np.argmax([one.accuracy for one in choice.single]))
        else:
            place = self.backbone.layers.index(self.layer)
        part = with_fewer_validation(data.of_layers((place,)).select(trial.config), trial)
        trained = _head(part, trial, context)
        seconds = time.perf_counter() - started
        layer = self.backbone.layers[place]
        return {**_outcome(part, trained), "seconds": seconds, "layer": layer}

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """The strategies at each size, the winners, and what the guard kept out."""
        sizes = self.usable_sizes(data, settings)
        part = self._selected(data, settings, settings.seeds[0])
        records = {
            (size, strategy): groups[self.condition(strategy, size)]
            for size in sizes
            for strategy in self.strategies
        }
        return show_strategies(self.name, part, records, self.part)


def check_photos(
    data: StudyData, settings: StudySettings, classes: tuple[str, ...], fewest: int
) -> None:
    """Refuse a dataset of too few photos before any training.

    Raises:
        ConfigError: a class that does not exist.
        DatasetError: no test photos, one class, or a class with too few training photos.
    """
    for seed in settings.seeds:
        config = replace(settings.training, seed=seed, classes=classes or None)
        part = data.select(config)
        part.data.check()
        if not len(part.rows("test")):
            raise DatasetError(
                "a study needs test images and there are none: raise "
                f"{setting('testing_percentage')}, or put photos into the test folder"
            )
        counts = part.n_training()
        if counts.min() < fewest:
            few = int(counts.argmin())
            raise DatasetError(
                f"study strategies needs at least {fewest} training photos of each class, and "
                f"{part.class_names[few]} has {counts[few]}: add photos, leave the class out with "
                f"{setting('classes')}, or name a layer with {setting('layer')}"
            )


def with_fewer_validation(part: StudyData, trial: Trial) -> StudyData:
    """The same with a quarter as many validation photos of a class as train, one at least.

    Who has few photos has few of them to choose by, too: all validation photos of a large dataset
    would guard a training on five photos a class better than they can be guarded.
    """
    most = -(-(trial.config.examples_per_class or 1) // _PER_VALIDATION)
    data = part.data
    rows = select_training(data.labels, data.validation, most, trial.config.seed)
    return replace(part, data=replace(data, validation=rows))


def _head(part: StudyData, trial: Trial, context: TrialContext) -> TrainedHead:
    return train_head(
        part.data,
        trial.config,
        on_progress=context.on_progress,
        memory_limit=context.memory_limit,
        alone=False,
    )


def _outcome(part: StudyData, trained: TrainedHead) -> dict[str, Any]:
    return HeadOutcome.of(part, trained).to_dict()


def _heed(context: TrialContext) -> None:
    context.on_progress(TrainingProgress(HistoryRow(0, 0.0, 0.0), 0, 0, None))
