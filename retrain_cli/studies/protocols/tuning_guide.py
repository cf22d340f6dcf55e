"""`study tuning-guide`: what batch size, learning rate, steps and optimiser do to the accuracy.

One setting is changed at a time, the others stay as the protocol says; only the optimisers are
tried with several learning rates each, for theirs do not mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.errors import setting as named
from retrain_cli.heads.config import CLOSED, OPTIMIZERS, TrainingConfig
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.head_trial import HeadOutcome, train_and_count
from retrain_cli.studies.means import Mean, mean_of, series_of
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
        error_of_mean: standard error of `validation`, 0 with one repeat.
        seconds: time of a training.
    """

    setting: Setting
    config: TrainingConfig
    validation: Mean | None
    test: Mean | None
    error_of_mean: float
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
            for config in dict.fromkeys(s.config(settings.training) for s in _grid(settings))
            for trial in repeated(settings, _describe(config), **_changed(config))
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
        chosen = recommend(lines)
        protocol = next(line for line in lines if line.config == settings.training)
        distinct = len({line.config for line in lines})
        headline = f"{distinct} settings, {settings.repeats} repeats each"
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
        if name == "lbfgs":  # has no learning rate; without decay its weights grow without end
            grid += [Setting(name, (("optimizer", name), ("l2", l2))) for l2 in _LBFGS_L2]
        elif name == "ridge":  # chooses its penalty itself
            grid.append(Setting(name, (("optimizer", name),)))
        elif name == "auto":  # is one of the others
            continue
        else:
            changes = [(("optimizer", name), ("learning_rate", r)) for r in _OPTIMIZER_RATES]
            grid += [Setting(name, change) for change in changes]
    grid.append(Setting("protocol", ()))
    return grid


def _changed(config: TrainingConfig) -> dict[str, Any]:
    names = ("batch_size", "learning_rate", "steps", "optimizer", "l2")
    return {name: getattr(config, name) for name in names}


def _describe(config: TrainingConfig) -> str:
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
        return MeasuredSetting(setting, config, None, None, 0.0, seconds)
    outcomes = [HeadOutcome.from_dict(record.outcome) for record in records]
    validation = [outcome.validation_top1 for outcome in outcomes]
    test = [outcome.result(data).top1.overall for outcome in outcomes]
    return MeasuredSetting(
        setting,
        config,
        mean_of(validation),
        mean_of([None if share is None else share.value for share in test]),
        _standard_error(validation),
        seconds,
    )


def _standard_error(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else 0.0


def recommend(lines: Sequence[MeasuredSetting]) -> MeasuredSetting:
    """The fastest setting whose validation top-1 is within one standard error of the best.

    L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and Regression Trees", 1984,
    use the rule to prefer the simplest model; here it prefers the shortest training.

    Raises:
        DatasetError: every setting made training diverge.
    """
    known = [(line, line.validation.value) for line in lines if line.validation is not None]
    if not known:
        raise DatasetError(
            "a recommendation needs a training that stays finite, and all diverged: look at the "
            "bottlenecks with `retrain cache verify`"
        )
    best, highest = max(known, key=lambda pair: pair[1])
    good = [line for line, value in known if value >= highest - best.error_of_mean]
    return min(good, key=lambda line: line.seconds)


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
        )
    lines.append(
        "recommended is the fastest setting whose validation top-1 is within one standard error "
        "of the best; times are of trainings that ran several at a time"
    )
    return tuple(lines)


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
