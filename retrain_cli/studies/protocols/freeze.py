"""`study freeze`: which layers to train, and whether it helps that they were trained before.

D. Patel, "Transfer Learning in CNNs with Medical Images" (2019), trains VGG-16 on photos of skin
with all of its blocks, the last one, the first one, or both trainable, from the weights of ImageNet
and from random ones, and goes on from there to X-rays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np

from retrain_cli.datasets.class_names import shown_name
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.finetuning.tuning_config import BatchNorm, TuningOptimizer
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.history import HistoryRow, TrainingProgress
from retrain_cli.studies.freezing.early_stop import FreezeRules, train_until_stop
from retrain_cli.studies.freezing.freeze_tables import FreezeModel, show_freezing
from retrain_cli.studies.freezing.frozen_networks import FreezeStart, FrozenNetworks
from retrain_cli.studies.freezing.pixel_baselines import (
    BASELINES,
    INPUTS,
    PixelBaselines,
    check_baselines,
)
from retrain_cli.studies.study import (
    Groups,
    NetworkStudySettings,
    Study,
    StudyResult,
    StudySettings,
    option,
    repeated,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext

PATTERNS = ("all", "last-block", "first-block", "first+last")
"""What the paper trains."""
_NONE = ("none",)
_PRETRAINED, _RANDOM = "pretrained", "random"
_USUAL = FreezeRules()
_MOST_NAMED = 3


class FreezeBench(NamedTuple):
    """What trials are made with."""

    networks: FrozenNetworks
    baselines: PixelBaselines


OpenBench = Callable[[StudyData, FreezeRules], AbstractContextManager[FreezeBench]]


@dataclass(frozen=True)
class FreezeTraining(TrainingConfig):
    """Seed and split; the shares are those of the paper.

    Attributes:
        validation_percentage: a fifth of the photos, to stop by.
        testing_percentage: a fifth.
    """

    validation_percentage: float = 20.0
    testing_percentage: float = 20.0


@dataclass(frozen=True)
class FreezeStudySettings(NetworkStudySettings):
    """Repeats, and the paper's split into 60, 20 and 20 percent.

    Attributes:
        repeats: three; the paper trained once.
        training: seed and split of each repeat.
    """

    repeats: int = 3
    training: FreezeTraining = field(default_factory=FreezeTraining)


@dataclass(frozen=True, eq=False)
class FreezeStudy(Study):
    """Which layers should be trained, and does it help that they were trained before?

    All layers, the last block, the first block, or both are trained, from the weights of the
    backbone last used, from random ones, and from those of a run of `finetune`; beside them stand
    baselines: trees on pixels, a small network, the nearest class mean. F1 of each class, micro and
    macro, and the training curves.

    Attributes:
        open_bench: gives what trials are made with.
        found: the starts, by the names that `starts` has for them.
        seen: digests of photos that the run of `init_from` has learned.
        trainable: the choices of layers.
        starts: the weights that are started from.
        init_from: a run whose tuned weights are one more start.
        baselines: what networks are compared with; none for nothing.
        learning_rate: the same in all steps.
        epochs: at most.
        patience: epochs without a better accuracy on validation after which training stops.
        batch_size: photos a step.
        optimizer: how networks learn.
        batch_norm: what becomes of batch normalisation.
        quick: one repeat of two choices, three epochs.
    """

    name: ClassVar[str] = "freeze"
    family: ClassVar[str] = "freeze"
    most_workers: ClassVar[int | None] = 1  # a network keeps all cores busy
    trains_heads: ClassVar[bool] = False
    settings_kind: ClassVar[type[StudySettings]] = FreezeStudySettings

    open_bench: OpenBench
    found: Mapping[str, FreezeStart]
    seen: frozenset[bytes] = frozenset()
    trainable: tuple[str, ...] = option(PATTERNS, "What is trained.")
    starts: tuple[str, ...] = option((_PRETRAINED, _RANDOM), "Weights that are started from.")
    init_from: str | None = option(
        None, "One more start: the tuned backbone of this run, fine-tuned on another folder."
    )
    baselines: tuple[str, ...] = option(tuple(BASELINES), "What networks are compared with.")
    learning_rate: float = option(_USUAL.learning_rate, "Step size, the same in all steps.")
    epochs: int = option(_USUAL.epochs, "How often a network sees each photo at most.")
    patience: int = option(
        _USUAL.patience, "Stop after so many epochs without a better accuracy on validation."
    )
    batch_size: int = option(_USUAL.batch_size, "Photos a step.")
    optimizer: TuningOptimizer = option(  # noqa: RUF009 - as every option of a study
        _USUAL.optimizer, "How networks learn; sgd has momentum 0.9."
    )
    batch_norm: BatchNorm = option(  # noqa: RUF009
        _USUAL.batch_norm,
        "What becomes of batch normalisation in layers that are trained: frozen, or trained with "
        "them.",
    )
    quick: bool = option(
        False, "One repeat of at most three epochs: to see what comes out, not to report it."
    )

    @property
    def rules(self) -> FreezeRules:
        """How networks are trained."""
        return FreezeRules(
            self.learning_rate,
            min(3, self.epochs) if self.quick else self.epochs,
            self.patience,
            self.batch_size,
            self.optimizer,
            self.batch_norm,
        )

    def protocol(self) -> dict[str, Any]:
        """See `Study.protocol`."""
        return {**asdict(self.rules), "version": 1}

    @property
    def chosen_baselines(self) -> tuple[str, ...]:
        """Those that are wanted."""
        return () if self.baselines == _NONE else tuple(dict.fromkeys(self.baselines))

    @property
    def models(self) -> list[FreezeModel]:
        """What is trained, in the order of the tables: baselines, then each start."""
        made = [
            FreezeModel(BASELINES[name], BASELINES[name], INPUTS[name], name)
            for name in self.chosen_baselines
        ]
        for start in self.found.values():
            made += [
                FreezeModel(f"{pattern} from {start.key}", pattern, start.title, start=start)
                for pattern in dict.fromkeys(self.trainable)
            ]
        return made

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: a setting that cannot work.
            DatasetError: too few photos, or photos that the weights have learned.
            MissingExtraError: trees without scikit-learn.
        """
        self.rules.validate()
        check_baselines(self.chosen_baselines)
        if not self.models:
            raise ConfigError(
                f"study freeze needs something to train: name one of {', '.join(PATTERNS)} with "
                f"{setting('FreezeStudy.trainable')} and a start with {setting('starts')}"
            )
        self._check_unseen(data)
        repeats = self.repeats(settings)
        for repeat in range(repeats):
            _check_split(data.select(settings.config(repeat)), repeat)
        if unusual := [one for one in self.trainable if one not in PATTERNS]:
            with self.open_bench(data, self.rules) as bench:
                for pattern in unusual:
                    bench.networks.check(pattern)
        # One choice of layers after another: all starts of one share a compiled network.
        order = sorted(self.models, key=lambda model: self._place(model.pattern))
        return [one for model in order for one in repeated(settings, model.condition)[:repeats]]

    def _place(self, pattern: str) -> int:
        """Where a choice of layers stands; baselines come first."""
        return self.trainable.index(pattern) if pattern in self.trainable else -1

    def repeats(self, settings: StudySettings) -> int:
        """How often each model is trained."""
        return 1 if self.quick else settings.repeats

    def _check_unseen(self, data: StudyData) -> None:
        count = sum(one.tobytes() in self.seen for one in data.images.digest)
        if count:
            raise DatasetError(
                f"{setting('init_from')} takes weights that were tuned on other photos, and "
                f"{self.init_from} was trained on {count:,} of these {len(data.images):,}, so that "
                "it would know the answers: name a run of another folder"
            )

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train one model, and count its answers on the test photos."""
        model = next(one for one in self.models if one.condition == trial.condition)
        part = data.select(trial.config)
        seed = trial.config.seed

        def heed() -> None:
            context.on_progress(TrainingProgress(HistoryRow(0, 0.0, 0.0), 0, 0, None))

        with self.open_bench(data, self.rules) as bench:
            if model.start is None:
                answers, told = bench.baselines.answers(model.baseline, part, seed, context, heed)
            else:
                learner = bench.networks.learner(model.pattern, model.start, part.data, seed, heed)
                rules = self.rules
                trained = train_until_stop(learner, part.data, rules.epochs, rules.patience, heed)
                answers = learner.logits(part.rows("test")).argmax(axis=1)
                told = {"trained_on": len(part.data.training), "training": trained.to_dict()}
        return {**told, **count_answers(part, answers)}

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Table 7.1, Table 7.2 and Fig. 7.1."""
        return show_freezing(
            self.name, self.models, groups, data.class_names, self.rules, self.repeats(settings)
        )


def count_answers(part: StudyData, answers: Sequence[int] | np.ndarray[Any, Any]) -> dict[str, Any]:
    """The confusion pairs of answers on the test photos, as JSON values."""
    labels = part.data.labels[part.rows("test")]
    answers = np.asarray(answers)
    ranks = np.where(labels == answers, 1, 2)
    counts = EvalCounts.count(labels, ranks, answers, part.data.n_classes, (1,))
    pairs = np.column_stack([counts.pairs, counts.pair_counts])
    return {"pairs": pairs.tolist(), "n_images": counts.n_images.tolist()}


def _check_split(part: StudyData, repeat: int) -> None:
    """Refuse a split without a photo of each class in each of its parts."""
    photos = np.bincount(part.data.labels, minlength=part.data.n_classes)
    for split in SPLITS:
        rows = part.data.validation if split == "validation" else part.rows(split)
        counts = np.bincount(part.data.labels[rows], minlength=part.data.n_classes)
        if missing := np.flatnonzero(counts == 0).tolist():
            names = [
                f"{shown_name(part.class_names[one])} ({photos[one]:,} photos)"
                for one in missing[:_MOST_NAMED]
            ] + ["others"] * (len(missing) > _MOST_NAMED)
            raise DatasetError(
                f"study freeze needs a photo of each class for training, validation and test, and "
                f"in repeat {repeat + 1} {split} has none of {', '.join(names)}: add photos, which "
                f"are of one group where their names have the same _nohash_ part, or raise "
                f"{setting('testing_percentage')} and {setting('validation_percentage')}"
            )
