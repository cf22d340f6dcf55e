"""`examples`, `histogram` and `difficulty`: three looks at the same trials."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.evaluation.result import HISTOGRAM_BINS
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.studies.means import Mean
from retrain_cli.studies.needs import CurveFit
from retrain_cli.studies.protocols.difficulty import DifficultyStudy
from retrain_cli.studies.protocols.examples import ExamplesStudy
from retrain_cli.studies.protocols.histogram import HistogramStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import TrialContext, TrialRecord

SETTINGS = StudySettings(3, TrainingConfig(optimizer="ridge"))  # without an engine
ADAM = StudySettings(3, TrainingConfig(steps=150, batch_size=20))
SIZES = (1, 2, 5)


def test_sizes_that_no_class_reaches_are_left_out(make_data: Callable[..., StudyData]) -> None:
    data = make_data(3, 3)  # 12 training images each
    sizes = ExamplesStudy((3, 12, 100, 5, 5)).usable_sizes(data, SETTINGS)
    assert [size.name for size in sizes] == ["3", "5", "all"]
    assert [size.mean for size in sizes] == [3, 5, 12]


def test_the_mean_counts_what_classes_have(make_data: Callable[..., StudyData]) -> None:
    data = make_data(2, 2)
    fewer = data.data.training[~np.isin(data.data.training, np.arange(2, 12))]  # class 0 keeps 2
    part = replace(data, data=replace(data.data, training=fewer))
    assert part.n_training().tolist() == [2, 12, 12, 12]
    assert ExamplesStudy((4,)).usable_sizes(part, SETTINGS)[0].mean == (2 + 4 + 4 + 4) / 4


def test_the_three_share_their_trials(make_data: Callable[..., StudyData]) -> None:
    data = make_data(3, 3)
    keys = [
        {trial.key for trial in study(SIZES).trials(data, SETTINGS)}
        for study in (ExamplesStudy, HistogramStudy, DifficultyStudy)
    ]
    assert keys[0] == keys[1] == keys[2]
    assert ExamplesStudy.family == HistogramStudy.family == DifficultyStudy.family


def test_training_images_are_nested_and_test_images_fixed(
    make_data: Callable[..., StudyData],
) -> None:
    data = make_data(3, 3)
    trials = ExamplesStudy(SIZES).trials(data, SETTINGS)
    parts = [data.select(trial.config) for trial in trials]
    first = [part for part, trial in zip(parts, trials, strict=True) if trial.repeat == 0]
    for small, large in itertools.pairwise(first):
        assert set(small.data.training) < set(large.data.training)
    for part in parts:
        np.testing.assert_array_equal(part.rows("test"), data.rows("test"))
        assert not set(part.rows("test")) & set(part.data.training)


@pytest.mark.parametrize("study", [ExamplesStudy, HistogramStudy, DifficultyStudy])
def test_validation_images_come_on_top_of_a_size(
    make_data: Callable[..., StudyData], conduct: Any, study: Any
) -> None:
    result = conduct(study((3,)), make_data(2, 2))
    assert any("the 16 validation photos, which" in note for note in result.notes)
    assert any("come on top" in note for note in result.notes)


@pytest.mark.parametrize("study", [ExamplesStudy, HistogramStudy, DifficultyStudy])
def test_repeats_with_other_splits(
    make_data: Callable[..., StudyData], conduct: Any, study: Any
) -> None:
    """Counts are of each repeat's own split: no share is above 1, and every mean is one of all."""
    data = make_data(3, 3, draw=True)
    result = conduct(study((3,)), data, SETTINGS)
    values = [c.value for row in result.tables[0].rows for c in row if isinstance(c, Mean)]
    assert all(0 <= value <= (6 if study is HistogramStudy else 1) for value in values)
    curve = study((3,)).curve(data, SETTINGS, records_of(study((3,)), data))
    n_training = [data.split_by(seed).n_training() for seed in SETTINGS.seeds]
    assert len({tuple(one) for one in curve.n_test.tolist()}) > 1
    np.testing.assert_allclose(curve.n_training[-1], np.mean(n_training, axis=0))
    assert curve.accuracies().max() <= 1


def records_of(study: Any, data: StudyData) -> dict[str, list[TrialRecord]]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in study.trials(data, SETTINGS):
        outcome = study.perform(data, trial, TrialContext(lambda progress: None))
        groups.setdefault(trial.condition, []).append(TrialRecord.of(trial, 0.1, outcome))
    return groups


def test_a_class_without_test_images_in_some_repeat_has_no_accuracy(
    make_data: Callable[..., StudyData],
) -> None:
    data = make_data(2, 2, draw=True)
    curve = ExamplesStudy((3,)).curve(data, SETTINGS, records_of(ExamplesStudy((3,)), data))
    n_test = curve.n_test.copy()
    n_test[1, 0] = 0
    short = replace(curve, n_test=n_test)
    assert np.isnan(short.accuracies()[..., 0]).all()
    assert np.isfinite(short.accuracies()[..., 1:]).all()
    assert CurveFit(short, 0).classes.tolist() == [1, 2, 3]


def test_more_images_help_and_the_table_says_so(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    result = conduct(ExamplesStudy(SIZES, 0.99), make_data(6, 6, spread=1.2), ADAM)
    top1 = [row[2].value for row in result.tables[0].rows]
    assert top1[0] < top1[1] < top1[-1]
    needs = result.tables[1].rows
    assert needs[0][0] == "mean over all classes"
    assert len(needs) == 13
    assert [row[2] for row in needs[1:]] == sorted(row[2] for row in needs[1:])
    assert result.figures["check_of_fit"]["measured"] == pytest.approx(top1[-1])
    assert any(note.startswith("check of the fit") for note in result.notes)
    assert result.figures["overall_need"]["accuracy"] == pytest.approx(top1[-1])


def test_one_size_alone_has_no_fit(make_data: Callable[..., StudyData], conduct: Any) -> None:
    result = conduct(ExamplesStudy((50,)), make_data(2, 2), SETTINGS)
    assert len(result.tables) == 1
    assert "a fit needs two sizes" in result.notes[0]


@pytest.mark.parametrize("target", [0.0, 1.0, 90.0])
def test_a_target_that_is_no_accuracy(make_data: Callable[..., StudyData], target: float) -> None:
    with pytest.raises(ConfigError, match="target must be between 0 and 1"):
        ExamplesStudy(target=target).trials(make_data(2, 2), SETTINGS)


def test_bad_sizes_and_no_test_images(make_data: Callable[..., StudyData]) -> None:
    data = make_data(2, 2)
    with pytest.raises(ConfigError, match="sizes must be at least 1"):
        ExamplesStudy((0, 3)).trials(data, SETTINGS)
    untested = replace(data, images=replace(data.images, split=np.minimum(data.images.split, 1)))
    with pytest.raises(DatasetError, match="needs test images"):
        ExamplesStudy().trials(untested, SETTINGS)


def test_every_class_is_in_one_bin_of_each_size(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    result = conduct(HistogramStudy(SIZES), make_data(4, 4, spread=1.2), SETTINGS)
    rows = result.tables[0].rows
    assert [row[0] for row in rows] == list(HISTOGRAM_BINS)
    for column in range(1, 5):
        assert sum(row[column].value for row in rows) == pytest.approx(8)
    last_bin = [row[1:] for row in rows][-1]
    assert last_bin[0].value < last_bin[-1].value


def test_a_class_that_is_hard_to_learn_is_difficult(
    make_data: Callable[..., StudyData], conduct: Any
) -> None:
    """Class 0 is a ring of clouds: a few images do not show where all of them are."""
    data = make_data(6, 6, per_class=60, spread=0.5)
    vectors = data.data.bottlenecks.copy()
    rows = np.flatnonzero(data.data.labels == 0)
    vectors[rows] += np.random.default_rng(1).choice([-2.5, 2.5], (len(rows), vectors.shape[1]))
    whole = data.data
    harder = HeadData(vectors, whole.labels, whole.class_names, whole.training, whole.validation)
    settings = StudySettings(3, TrainingConfig(steps=800, learning_rate=0.1, batch_size=50))
    result = conduct(DifficultyStudy((1, 5)), replace(data, data=harder), settings)
    classes = result.tables[1].rows
    assert classes[0][1] == "class 00"
    assert classes[0][0] == "difficult"
    groups = {row[0]: row for row in result.tables[0].rows}
    assert sum(row[1] for row in groups.values()) == 12
    assert groups["easy"][2].value > groups["difficult"][2].value
    shares = [row[5] for row in classes]
    assert shares == sorted(shares)
    assert max(shares) <= 1


def test_bounds_that_cannot_work(make_data: Callable[..., StudyData]) -> None:
    data = make_data(2, 2)
    with pytest.raises(ConfigError, match="difficult and easy"):
        DifficultyStudy(easy=0.5, difficult=0.7).trials(data, SETTINGS)
    with pytest.raises(ConfigError, match=r"one of the sizes \(3, 5, 10\), not 4"):
        DifficultyStudy(few=4).trials(data, SETTINGS)


def test_one_repeat_is_one_repeat() -> None:
    assert [StudySettings(number).repeats_told for number in (1, 5)] == ["1 repeat", "5 repeats"]
