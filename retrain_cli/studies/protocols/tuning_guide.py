"""`study tuning-guide`: what batch size, learning rate, steps and optimiser do to the accuracy.

One setting is changed at a time, the others stay as the protocol says; only the optimisers are
tried with several learning rates each, for theirs do not mean the same. All settings have the
splits of the same repeats, so that they are compared repeat by repeat.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.errors import setting as named
from retrain_cli.heads.config import AT_ONCE, CLOSED, OPTIMIZERS, TrainingConfig
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.head_trial import HeadOutcome, train_and_count
from retrain_cli.studies.means import Mean, mean_of, mean_of_estimates, series_of
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    repeated,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext

_BATCH_SIZES = (10, 32, 100, 320)
_LEARNING_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
_OPTIMIZER_RATES = (0.001, 0.01, 0.1)
_LBFGS_L2 = (0.00001, 0.0001, 0.001)
_STEP_SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)
_ROUNDING = 1e-9  # of shares that are the same
_PANELS = (("batch size", "batch_size"), ("learning rate", "learning_rate"), ("steps", "steps"))


@dataclass(frozen=True)
class Setting:
    """One line of the guide.

    Attributes:
        factor: which setting is changed: batch size, learning rate, steps, or an optimiser.
        changes: its value, and those that go with it.
    """

    factor: str
    changes: tuple[tuple[str, Any], ...]

    def config(self, base: TrainingConfig) -> TrainingConfig:
        """The protocol with these changes."""
        return replace(base, **dict(self.changes))


@dataclass(frozen=True, eq=False)
class MeasuredSetting:
    """What a setting reached.

    Attributes:
        setting: the setting.
        config: all settings of it.
        validation: top-1 on validation; None where training diverged.
        test: top-1 on test; None likewise.
        repeats: top-1 on validation of each repeat; () likewise.
        loss: mean log loss on validation; None likewise.
        seconds: time of a training.
    """

    setting: Setting
    config: TrainingConfig
    validation: Mean | None
    test: Mean | None
    repeats: tuple[float, ...]
    loss: float | None
    seconds: float


@dataclass(frozen=True)
class TuningGuideStudy(Study):
    """Accuracy and time by batch size, learning rate, steps and optimiser; recommends one setting.

    One setting is varied at a time around the protocol that the options below name.
    """

    name: ClassVar[str] = "tuning-guide"
    family: ClassVar[str] = "tuning-guide"

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            DatasetError: there are no validation images to choose by.
        """
        if not len(data.data.validation):
            raise DatasetError(
                "study tuning-guide chooses by validation images and there are none: raise "
                f"{named('validation_percentage')}"
            )
        return [
            trial
            for condition, config in _distinct(settings).items()
            for trial in repeated(settings, condition, **_changed(config))
        ]

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """As every trial; a learning rate that makes training diverge is a result too."""
        try:
            return train_and_count(data, trial, context)
        except ConfigError as error:
            return {"diverged": str(error)}

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """The table of all settings, and the recommendation."""
        lines = [_measure(setting, settings, data, groups) for setting in _grid(settings)]
        protocol = next(line for line in lines if line.config == settings.training)
        chosen = recommend(lines, protocol)
        headline = f"{len(_distinct(settings))} settings, {settings.repeats_told} each"
        columns = ("varied", "setting", "validation top-1", "test top-1", "seconds", "")
        rows = [
            (
                line.setting.factor,
                _describe(line.config),
                line.validation,
                line.test,
                f"{line.seconds:.1f}",
                _remark(line, chosen.config, settings.training),
            )
            for line in lines
        ]
        return StudyResult(
            self.name,
            headline,
            (StudyTable("settings", columns, rows),),
            tuple(_chart(lines, *panel) for panel in _PANELS),
            _notes(chosen, protocol),
            {"recommended": {"options": _options(chosen.config), "seconds": chosen.seconds}},
        )


def _grid(settings: StudySettings) -> list[Setting]:
    base = settings.training
    grid = [Setting("batch size", (("batch_size", size),)) for size in _BATCH_SIZES]
    grid += [Setting("learning rate", (("learning_rate", rate),)) for rate in _LEARNING_RATES]
    steps = [max(1, round(share * base.steps)) for share in _STEP_SHARES]
    grid += [Setting("steps", (("steps", number),)) for number in dict.fromkeys(steps)]
    for name in OPTIMIZERS:
        if base.is_layered and name in AT_ONCE:
            continue  # they make one softmax layer
        if name == "lbfgs":  # has no learning rate; without decay its weights grow without end
            grid += [Setting(name, (("optimizer", name), ("l2", l2))) for l2 in _LBFGS_L2]
        elif name in CLOSED:  # choose what there is to choose themselves
            grid.append(Setting(name, (("optimizer", name),)))
        else:
            changes = [(("optimizer", name), ("learning_rate", r)) for r in _OPTIMIZER_RATES]
            grid += [Setting(name, change) for change in changes]
    grid.append(Setting("protocol", ()))
    return grid


def _distinct(settings: StudySettings) -> dict[str, TrainingConfig]:
    """Each setting once, by its condition; lbfgs has no batches whose size could be varied."""
    configs = [one.config(settings.training) for one in _grid(settings)]
    return {_describe(config): config for config in configs}


def _changed(config: TrainingConfig) -> dict[str, Any]:
    names = ("batch_size", "learning_rate", "steps", "optimizer", "l2")
    return {name: getattr(config, name) for name in names}


def _describe(config: TrainingConfig) -> str:
    if config.optimizer == "auto":
        return "auto: adam, lbfgs or ridge by cross-validation"
    if config.optimizer in CLOSED:
        return f"{config.optimizer}, in closed form"
    if config.optimizer == "lbfgs":
        return f"lbfgs, l2 {config.weight_decay:g}, at most {config.steps:,} iterations"
    rate = f"{config.optimizer} {config.learning_rate:g}"
    return f"{rate}, {config.steps:,} steps of {config.batch_size}"


def _options(config: TrainingConfig) -> str:
    if config.optimizer in CLOSED:
        return f"--optimizer {config.optimizer}"
    if config.optimizer == "lbfgs":
        return f"--optimizer lbfgs --l2 {config.weight_decay:g} --steps {config.steps}"
    return (
        f"--optimizer {config.optimizer} --learning-rate {config.learning_rate:g} "
        f"--batch-size {config.batch_size} --steps {config.steps}"
    )


def _measure(
    setting: Setting, settings: StudySettings, data: StudyData, groups: Groups
) -> MeasuredSetting:
    config = setting.config(settings.training)
    records = groups[_describe(config)]
    seconds = float(np.median([record.seconds for record in records]))
    if any("diverged" in record.outcome for record in records):
        return MeasuredSetting(setting, config, None, None, (), None, seconds)
    outcomes = [HeadOutcome.from_dict(record.outcome) for record in records]
    validation = [one.validation_top1 for one in outcomes if one.validation_top1 is not None]
    losses = [one.validation_loss for one in outcomes if one.validation_loss is not None]
    test = [outcome.result(data).top1.overall for outcome in outcomes]
    return MeasuredSetting(
        setting,
        config,
        mean_of(validation),
        mean_of_estimates(test),
        tuple(validation),
        float(np.mean(losses)) if losses else None,
        seconds,
    )


def recommend(
    lines: Sequence[MeasuredSetting], protocol: MeasuredSetting | None = None
) -> MeasuredSetting:
    """Of the settings that are level with the best: auto where it is better, else the fastest.

    L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and Regression Trees", 1984,
    use one standard error to prefer the simplest model. The best has the highest validation top-1,
    and the error is that of the difference to it over the repeats. Of 30 settings the best is one
    by luck, too; auto chooses by the training photos alone, and anew when photos are added.

    Args:
        lines: what each setting reached.
        protocol: the setting that auto must be better than, see `_is_better`.

    Raises:
        DatasetError: every setting made training diverge.
    """
    known = [(line, line.validation.value) for line in lines if line.validation is not None]
    if not known:
        raise DatasetError(
            "a recommendation needs a training that stays finite, and all diverged: look at the "
            "bottlenecks with `retrain cache verify`"
        )
    best, _ = max(known, key=lambda pair: pair[1])
    good = [line for line, _ in known if _is_level(line, best)]
    auto = [line for line in good if line.config.optimizer == "auto"]
    if auto and protocol is not None and _is_better(auto[0], protocol):
        return auto[0]
    return min(good, key=lambda line: line.seconds)


def _is_level(line: MeasuredSetting, best: MeasuredSetting) -> bool:
    """Whether a setting is below the best by at most one standard error of the difference."""
    below = np.subtract(best.repeats, line.repeats)
    error = float(np.std(below, ddof=1)) / math.sqrt(len(below)) if len(below) > 1 else 0.0
    return float(below.mean()) <= error + _ROUNDING


def _is_better(line: MeasuredSetting, protocol: MeasuredSetting) -> bool:
    """Whether validation top-1 is higher or, the top-1 being level, the log loss lower."""
    if not protocol.repeats:
        return True
    higher = float(np.mean(line.repeats)) > float(np.mean(protocol.repeats)) + _ROUNDING
    surer = line.loss is not None and protocol.loss is not None and line.loss < protocol.loss
    return higher or (surer and _is_level(line, protocol))


def _remark(line: MeasuredSetting, chosen: TrainingConfig, protocol: TrainingConfig) -> str:
    if line.validation is None:
        return "diverges"
    marks = ["recommended"] * (line.config == chosen) + ["protocol"] * (line.config == protocol)
    return ", ".join(marks)


def _notes(chosen: MeasuredSetting, protocol: MeasuredSetting) -> tuple[str, ...]:
    lines = [f"recommended: retrain train {_options(chosen.config)}"]
    if chosen.test and protocol.test and chosen.config != protocol.config:
        lines.append(
            f"it takes {chosen.seconds:.1f} s in place of the protocol's {protocol.seconds:.1f} s "
            f"and reaches {chosen.test.value:.1%} on test in place of {protocol.test.value:.1%}"
            f"{_losses(chosen, protocol)}"
        )
    lines.append(
        "recommended is one of the settings whose validation top-1 is within one standard error of "
        "the best: auto where it is better than the protocol, else the fastest; times are of "
        "trainings that ran several at a time"
    )
    return tuple(lines)


def _losses(chosen: MeasuredSetting, protocol: MeasuredSetting) -> str:
    if chosen.loss is None or protocol.loss is None:
        return ""
    return f", with a log loss of {chosen.loss:.3f} on validation in place of {protocol.loss:.3f}"


def _chart(lines: Sequence[MeasuredSetting], factor: str, field: str) -> Chart:
    of_factor = [line for line in lines if line.setting.factor == factor]
    series = []
    for label in ("validation", "test"):
        points = [(float(getattr(line.config, field)), getattr(line, label)) for line in of_factor]
        known = [(x, mean) for x, mean in sorted(points, key=_place) if mean is not None]
        if known:
            series.append(series_of(f"{label} top-1", known))
    ticks = tuple((float(value), f"{value:g}") for value in _values(of_factor, field))
    return Chart("", factor, "top-1", tuple(series), ticks, log_x=True)


def _place(point: tuple[float, Mean | None]) -> float:
    return point[0]


def _values(lines: Sequence[MeasuredSetting], field: str) -> list[float]:
    return sorted({float(getattr(line.config, field)) for line in lines})
