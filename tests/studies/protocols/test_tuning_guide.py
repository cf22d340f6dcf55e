from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retrain_cli.errors import DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.means import mean_of
from retrain_cli.studies.protocols.tuning_guide import (
    MeasuredSetting,
    Setting,
    TuningGuideStudy,
    _distinct,
    recommend,
)
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData

SETTINGS = StudySettings(1, TrainingConfig(steps=60, batch_size=20, eval_every=60))


def line(
    seconds: float, *repeats: float, loss: float = 0.5, optimizer: Any = "adam"
) -> MeasuredSetting:
    config = TrainingConfig(optimizer=optimizer)
    mean = mean_of(repeats)
    return MeasuredSetting(Setting("x", ()), config, mean, mean, repeats, loss, seconds)


def test_the_fastest_of_those_that_lose_nothing_is_recommended() -> None:
    best, equal, fast = line(9.0, 0.94, 0.96), line(3.0, 0.95, 0.94), line(1.0, 0.90, 0.90)
    assert recommend([best, equal, fast]) is equal
    assert recommend([line(0.1), fast]) is fast
    with pytest.raises(DatasetError, match="all diverged"):
        recommend([line(0.1)])


def test_settings_are_compared_repeat_by_repeat() -> None:
    """What splits do to all settings alike makes none of them as good as the best."""
    best, worse = line(9.0, 0.80, 0.96), line(1.0, 0.78, 0.94)
    assert recommend([best, worse]) is best


@pytest.mark.parametrize(
    ("auto", "is_chosen"),
    [
        (line(5.0, 0.96, 0.96, optimizer="auto"), True),  # as good as the best, above the protocol
        (line(5.0, 0.94, 0.94, optimizer="auto", loss=0.2), False),  # below the best
        (line(5.0, 0.96, 0.96, optimizer="auto", loss=0.9), True),
    ],
)
def test_auto_is_recommended_where_it_is_better(auto: MeasuredSetting, is_chosen: bool) -> None:
    protocol, fast = line(4.0, 0.94, 0.94), line(1.0, 0.96, 0.96, optimizer="ridge")
    assert recommend([protocol, fast, auto], protocol) is (auto if is_chosen else fast)


@pytest.mark.parametrize(("loss", "is_chosen"), [(0.4, True), (0.6, False)])
def test_auto_that_is_level_must_have_the_lower_log_loss(loss: float, is_chosen: bool) -> None:
    protocol = line(4.0, 0.96, 0.96)
    auto = line(5.0, 0.96, 0.96, optimizer="auto", loss=loss)
    assert recommend([protocol, auto], protocol) is (auto if is_chosen else protocol)


def test_every_setting_is_tried_and_one_recommended(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    data = make_data(3, 3)
    result = conduct(TuningGuideStudy(), data, SETTINGS)
    rows = result.tables[0].rows
    varied = {row[0] for row in rows}
    assert {"batch size", "learning rate", "steps", "adam", "lbfgs", "ridge", "auto"} <= varied
    assert any("recommended" in row[5] for row in rows)
    assert any("protocol" in row[5] for row in rows)
    assert result.notes[0].startswith("recommended: retrain train --optimizer ")
    conditions = [trial.condition for trial in TuningGuideStudy().trials(data, SETTINGS)]
    assert len(set(conditions)) == len(conditions)  # the protocol itself is trained once


@pytest.mark.parametrize("optimizer", ["ridge", "lbfgs"])
def test_a_protocol_without_batches(make_data: Callable[..., StudyData], optimizer: Any) -> None:
    settings = StudySettings(2, TrainingConfig(optimizer=optimizer))
    trials = TuningGuideStudy().trials(make_data(2, 2), settings)
    assert set(Counter(trial.condition for trial in trials).values()) == {2}


def test_divergence_is_a_result(make_data: Callable[..., StudyData], conduct: Any) -> None:
    data = make_data(2, 2)
    vectors = data.data.bottlenecks * np.float32(1e22)
    huge = replace(data, data=replace(data.data, bottlenecks=vectors))
    result = conduct(TuningGuideStudy(), huge, SETTINGS)
    diverged = [row for row in result.tables[0].rows if row[5] == "diverges"]
    assert diverged
    assert all(row[2] is None and row[3] is None for row in diverged)


def test_without_validation_images(make_data: Callable[..., StudyData]) -> None:
    data = make_data(2, 2)
    none = replace(data, data=replace(data.data, validation=np.empty(0, np.int64)))
    with pytest.raises(DatasetError, match="validation_percentage"):
        TuningGuideStudy().trials(none, SETTINGS)


def test_what_makes_one_layer_is_not_tried_with_hidden_layers() -> None:
    layered = replace(SETTINGS, training=replace(SETTINGS.training, hidden=(8,), dropout=0.5))
    usual, found = (
        {config.optimizer for config in _distinct(settings).values()}
        for settings in (SETTINGS, layered)
    )
    assert usual - found == {"lbfgs", "ridge", "auto"}
    assert all(config.validate().hidden for config in _distinct(layered).values())
