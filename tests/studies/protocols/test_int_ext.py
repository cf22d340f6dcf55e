from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.studies.head_trial import HeadOutcome
from retrain_cli.studies.means import mean_of_estimates
from retrain_cli.studies.protocols.int_ext import IntExtStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import TrialContext, TrialRecord


def test_as_many_classes_as_all_mixes_allow(make_data: Callable[..., StudyData]) -> None:
    data = make_data(5, 7)
    trials = IntExtStudy().trials(data, StudySettings(repeats=3))
    names = list(dict.fromkeys(trial.condition for trial in trials))
    assert names == [f"{n} INT + {5 - n} EXT" for n in range(6)]
    assert len(trials) == 18
    for trial in trials:
        assert len(set(trial.config.classes or ())) == 5


def test_the_mix_is_what_it_says(make_data: Callable[..., StudyData]) -> None:
    data = make_data(6, 6)
    internal = set(data.classes_of("INT"))
    for trial in IntExtStudy(4, 5).trials(data, StudySettings(repeats=2)):
        n_int = int(trial.condition.split()[0])
        assert sum(name in internal for name in trial.config.classes) == n_int


def test_repeats_draw_other_classes_and_seeds_repeat_them(
    make_data: Callable[..., StudyData],
) -> None:
    data = make_data(10, 10)
    trials = IntExtStudy(6, 3).trials(data, StudySettings(repeats=5))
    first = [trial.config.classes for trial in trials if trial.condition == "3 INT + 3 EXT"]
    assert len(set(first)) == 5
    assert trials == IntExtStudy(6, 3).trials(data, StudySettings(repeats=5))


def test_neighbouring_mixes_share_their_classes(make_data: Callable[..., StudyData]) -> None:
    trials = IntExtStudy(6, 7).trials(make_data(10, 10), StudySettings(repeats=1))
    sets = [set(trial.config.classes or ()) for trial in trials]
    assert all(len(a & b) == 5 for a, b in itertools.pairwise(sets))


def test_impossible_mixes_are_named_and_the_others_done(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    result = conduct(IntExtStudy(6, 3), make_data(3, 9))
    assert [row[1] for row in result.tables[0].rows] == [0, 3]
    assert "INT shares of 100% are not possible with 6" in result.notes[0]


def test_no_mix_at_all(make_data: Callable[..., StudyData]) -> None:
    with pytest.raises(DatasetError, match="lower classes"):
        IntExtStudy(20).trials(make_data(3, 4), StudySettings())
    with pytest.raises(DatasetError, match="at least 2 INT and 2 EXT"):
        IntExtStudy().trials(make_data(0, 4), StudySettings())
    for study in (IntExtStudy(1), IntExtStudy(4, 1)):
        with pytest.raises(ConfigError, match="must be at least 2"):
            study.trials(make_data(3, 4), StudySettings())


def test_unknown_origins(make_data: Callable[..., StudyData]) -> None:
    from dataclasses import replace

    from retrain_cli.datasets.origins import ClassOrigin

    data = make_data(2, 2)
    unknown = replace(data, origins=tuple(ClassOrigin(n, None) for n in data.class_names))
    with pytest.raises(DatasetError, match="source_classes"):
        IntExtStudy().trials(unknown, StudySettings())


def test_the_lines_are_means_of_the_evaluations(make_data: Callable[..., StudyData]) -> None:
    data = make_data(4, 4, spread=1.5)
    from retrain_cli.heads.config import TrainingConfig

    study = IntExtStudy(4, 3)
    settings = StudySettings(2, TrainingConfig(steps=30, batch_size=20))
    groups: dict[str, list[TrialRecord]] = {}
    for trial in study.trials(data, settings):
        outcome = study.perform(data, trial, TrialContext(lambda progress: None))
        groups.setdefault(trial.condition, []).append(TrialRecord.of(trial, 0.0, outcome))
    result = study.result(data, settings, groups)
    mixed = [HeadOutcome.from_dict(r.outcome).result(data) for r in groups["2 INT + 2 EXT"]]
    row = next(row for row in result.tables[0].rows if row[1] == 2)
    assert row[3] == mean_of_estimates([one.top1.macro for one in mixed])
    assert row[5] == mean_of_estimates([one.top1.int_macro for one in mixed])
    assert row[6] == mean_of_estimates([one.top1.ext_macro for one in mixed])
    assert row[4] is None  # top-5 of four classes
    only_ext = result.tables[0].rows[0]
    assert only_ext[5] is None
    assert [series.label for series in result.charts[0].series] == [
        "average top-1",
        "INT top-1",
        "EXT top-1",
    ]


@given(classes=st.integers(2, 120), mixes=st.integers(2, 30))
def test_mixes_are_even_and_reach_both_ends(classes: int, mixes: int) -> None:
    from retrain_cli.studies.protocols.int_ext import Mix, wanted_mixes

    found = wanted_mixes(classes, mixes)
    assert found[0] == Mix(0, classes)
    assert found[-1] == Mix(classes, 0)
    assert len(found) == min(mixes, classes + 1)
    steps = [b.n_int - a.n_int for a, b in itertools.pairwise(found)]
    assert max(steps) - min(steps) <= 1
