from __future__ import annotations

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
    recommend,
)
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData

SETTINGS = StudySettings(1, TrainingConfig(steps=60, batch_size=20, eval_every=60))


def line(top1: float | None, seconds: float, error: float = 0.01) -> MeasuredSetting:
    mean = mean_of([top1])
    return MeasuredSetting(Setting("x", ()), TrainingConfig(), mean, mean, error, seconds)


def test_the_fastest_of_those_that_lose_nothing_is_recommended() -> None:
    best, equal, fast = line(0.95, 9.0), line(0.945, 3.0), line(0.90, 1.0)
    assert recommend([best, equal, fast]) is equal
    assert recommend([line(0.95, 9.0, 0.001), equal, fast]).seconds == 9.0
    assert recommend([line(None, 0.1), fast]) is fast
    with pytest.raises(DatasetError, match="all diverged"):
        recommend([line(None, 0.1)])


def test_every_setting_is_tried_and_one_recommended(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    data = make_data(3, 3)
    result = conduct(TuningGuideStudy(), data, SETTINGS)
    rows = result.tables[0].rows
    varied = {row[0] for row in rows}
    assert {"batch size", "learning rate", "steps", "adam", "sgd", "lbfgs"} <= varied
    assert any("recommended" in row[5] for row in rows)
    assert any("protocol" in row[5] for row in rows)
    assert result.notes[0].startswith("recommended: retrain train --optimizer ")
    conditions = [trial.condition for trial in TuningGuideStudy().trials(data, SETTINGS)]
    assert len(set(conditions)) == len(conditions)  # the protocol itself is trained once


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
