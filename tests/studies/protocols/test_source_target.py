"""`study source-target` with a pupil that knows what it was shown, and the network of the paper."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_photos

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.reports.charts import Chart, TreeChart
from retrain_cli.reports.plots.study_plots import plot_charts
from retrain_cli.studies.protocols.source_target import SourceTargetStudy
from retrain_cli.studies.source_target.lessons import LearningRules, SchemeScore
from retrain_cli.studies.source_target.paper_network import (
    PARAMETERS_OF_TWO,
    PaperSchool,
    PixelShelf,
    build_paper_network,
)
from retrain_cli.studies.study import NetworkStudySettings
from retrain_cli.studies.study_data import StudyData

SETTINGS = NetworkStudySettings(3)


class Nearest:
    """Stands for a network: the class whose mean photo is nearest; its top shifts these means."""

    def __init__(self, vectors: Any, labels: Any, n_classes: int) -> None:
        self._vectors, self._labels, self._n = vectors, labels, n_classes
        self.lessons: list[tuple[str, Any]] = []

    def learn(self, rows: Any) -> None:
        self.lessons.append(("learn", rows))
        own = self._labels[rows]
        self._means = [self._vectors[rows][own == one].mean(axis=0) for one in range(self._n)]

    def relearn_top(self, rows: Any) -> None:
        before, count = self._means, len(self.lessons)
        self.learn(rows)
        self.lessons[count] = ("top", rows)
        self._means = [(a + b) / 2 for a, b in zip(before, self._means, strict=True)]

    def logits(self, rows: Any) -> Any:
        gaps = self._vectors[rows][:, None] - np.array(self._means)
        return -np.linalg.norm(gaps, axis=2)


class Recorded:
    """A school whose pupils can be looked at."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self.pupils: list[Nearest] = []

    def pupil(self, labels: Any, n_classes: int, seed: int, heed: Any) -> Nearest:
        heed()
        self.pupils.append(Nearest(self._data.data.bottlenecks, labels, n_classes))
        return self.pupils[-1]


def study_of(**options: Any) -> Any:
    schools: list[Recorded] = []

    def open_school(data: StudyData, rules: LearningRules) -> Any:
        if not schools:
            schools.append(Recorded(data))
        return nullcontext(schools[0])

    study = SourceTargetStudy(open_school, **options)
    return study, schools


@pytest.fixture
def data(make_data: Callable[..., StudyData]) -> StudyData:
    return make_data(1, 2, per_class=40, spread=1.5, draw=True)


def tables(result: Any) -> dict[str, Any]:
    return {table.name: table for table in result.tables}


def test_four_schemes_and_all_combinations(conduct: Any, data: StudyData) -> None:
    study, _ = study_of(classes=("class 00", "class 02"), combination_repeats=2)
    result = conduct(study, data, SETTINGS)
    found = tables(result)
    assert [row[0] for row in found["schemes"].rows][:4] == [
        "1 target",
        "2 source",
        "3 both",
        "4 retrained",
    ]
    assert len(found["runs"].rows) == 3
    assert len(found["combinations"].rows) == 16
    first = [row for row in found["nodes"].rows if row[1] == "first"]
    assert {row[3] for row in first} == {"source", "target"}
    assert sum(row[2] for row in first) == 80
    gains = [row[-1] for row in found["combinations"].rows]
    assert gains == sorted(gains, reverse=True)
    assert set(result.to_dict()["relations"]) >= {"distance", "ratio in target"}
    assert sum("relation" in note or "the greater the" in note for note in result.notes) >= 2


def test_accuracies_of_the_table_are_those_of_the_runs(conduct: Any, data: StudyData) -> None:
    study, _ = study_of(combinations=0)
    result = conduct(study, data, SETTINGS)
    values = result.to_dict()["accuracy"]
    for row in tables(result)["schemes"].rows[:4]:
        runs = values[row[0]]
        assert row[4].value == pytest.approx(np.mean(runs))
        assert row[5] == pytest.approx(np.std(runs, ddof=1))
    assert "combinations" not in tables(result)
    assert not [chart for chart in result.charts if isinstance(chart, Chart)]


def test_runs_that_agree_are_not_told_to_be_certain(
    conduct: Any, make_data: Callable[..., StudyData]
) -> None:
    study, _ = study_of(combinations=0)
    easy = make_data(1, 1, per_class=40, spread=0.01, draw=True)
    rows = tables(conduct(study, easy, SETTINGS))["schemes"].rows
    right = rows[0][4]
    assert right.value == 1
    assert 0.5 < right.low < 0.95, "a few test photos, all of them right in each run"
    assert rows[0][5] == 0


def test_who_is_taught_what(data: StudyData) -> None:
    study, schools = study_of(combinations=0)
    from retrain_cli.studies.trial import TrialContext

    trials = study.trials(data, SETTINGS)
    of_run = [trial for trial in trials if trial.repeat == 1]
    for trial in of_run:
        study.perform(data, trial, TrialContext(lambda progress: None))
    target, source, both = [pupil.lessons for pupil in schools[0].pupils]
    plan = study.plan(data, SETTINGS)
    assert [one for one, _ in source] == ["learn", "top"]
    assert source[0][1].tolist() == plan.first.mix.source.tolist()
    assert source[1][1].tolist() == target[0][1].tolist()
    assert both[0][1].tolist() == sorted([*source[0][1], *target[0][1]])
    rest = set(plan.first.mix.target.tolist()) - set(target[0][1].tolist())
    assert len(rest) == pytest.approx(0.3 * len(plan.first.mix.target), abs=2)


def test_runs_share_their_test_photos_only_where_that_is_asked_for(
    conduct: Any, data: StudyData
) -> None:
    study, schools = study_of(combinations=0)
    conduct(study, data, SETTINGS)
    drawn = {tuple(pupil.lessons[0][1]) for pupil in schools[0].pupils[:3]}
    study, schools = study_of(combinations=0)
    result = conduct(study, replace(data, draws=None), SETTINGS)
    same = {tuple(pupil.lessons[0][1]) for pupil in schools[0].pupils[:3]}
    assert (len(drawn), len(same)) == (3, 1)
    assert any("as have all runs" in note for note in result.notes)


def test_quick_is_two_runs_and_one_of_each_combination(data: StudyData) -> None:
    study, _ = study_of(quick=True, combinations=4)
    trials = study.trials(data, SETTINGS)
    assert len(trials) == 3 * 2 + 4 * 2


def test_trials_of_other_photos_are_others(data: StudyData) -> None:
    """Also where groups alone have moved photos, of which the folder of trials does not tell."""
    study, _ = study_of(combinations=0)
    before = {trial.key for trial in study.trials(data, SETTINGS)}
    first, labels = study.plan(data, SETTINGS).first.mix, data.data.labels
    moving = first.target[0]
    groups = np.arange(len(labels))
    groups[[*first.source[labels[first.source] == labels[moving]][:2], moving]] = 0
    moved = replace(data, data=replace(data.data, groups=groups))
    assert not before & {trial.key for trial in study.trials(moved, SETTINGS)}


@pytest.mark.parametrize(
    "options",
    [
        {"combinations": -1},
        {"combination_repeats": 0},
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"test_percentage": 0.0},
        {"test_percentage": 100.0},
        {"linkage": "centroid"},
        {"metric": "cosine"},
        {"classes": ("no such class", "class 00")},
        {"classes": ("class 00",)},
    ],
)
def test_what_cannot_work_is_refused(data: StudyData, options: Any) -> None:
    study, _ = study_of(**options)
    with pytest.raises(ConfigError):
        study.trials(data, SETTINGS)


@pytest.mark.parametrize("per_class", [1, 2])
def test_too_few_photos_are_refused(make_data: Callable[..., StudyData], per_class: int) -> None:
    study, _ = study_of()
    with pytest.raises(DatasetError, match="photo"):
        study.trials(make_data(1, 1, per_class=per_class, draw=True), SETTINGS)


def test_one_class_is_refused(make_data: Callable[..., StudyData]) -> None:
    study, _ = study_of()
    with pytest.raises(DatasetError, match="at least two classes"):
        study.trials(make_data(1, 0, draw=True), SETTINGS)


def test_dendrograms_count_their_photos_and_can_be_drawn(
    conduct: Any, data: StudyData, tmp_path: Path
) -> None:
    study, _ = study_of(combinations=4, combination_repeats=1)
    result = conduct(study, data, NetworkStudySettings(1))
    trees = [chart for chart in result.charts if isinstance(chart, TreeChart)]
    assert len(trees) == 3
    for tree in trees:
        assert sum(int(text) for _, text in tree.ticks) == 40
        assert len(tree.links) == len(tree.ticks) - 1
        assert {link.branch for link in tree.links} == {-1, 0, 1}
    plot_charts(result.charts, tmp_path / "all.svg")
    assert (tmp_path / "all.svg").stat().st_size > 10_000


def test_loss_and_accuracy_are_those_of_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, log_loss

    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(50, 3)), generator.integers(0, 3, 50)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    score = SchemeScore.of(logits, labels)
    assert score.loss == pytest.approx(log_loss(labels, shares))
    assert score.accuracy == accuracy_score(labels, logits.argmax(axis=1))


@pytest.mark.parametrize(("n_classes", "parameters"), [(2, PARAMETERS_OF_TWO), (3, 848_355)])
def test_the_network_has_the_papers_parameters(n_classes: int, parameters: int) -> None:
    body, top = build_paper_network(n_classes)
    assert body.count_params() + top.count_params() == parameters
    of_layers = [one.count_params() for one in (*body.layers, *top.layers) if one.count_params()]
    assert of_layers[:-1] == [896, 9_248, 18_496, 819_328]
    assert top.count_params() - of_layers[-1] == 819_328
    shapes = [tuple(one.output.shape[1:]) for one in body.layers[1:]]  # scaling comes first
    assert shapes == [
        (48, 48, 32),
        (46, 46, 32),
        (23, 23, 32),
        (21, 21, 64),
        (10, 10, 64),
        (6400,),
    ]
    kept = len(body.layers) - 1 + len(top.layers)
    assert kept == 8
    assert PARAMETERS_OF_TWO == 848_226


def test_the_network_learns_and_keeps_its_body_when_its_top_learns_again(tmp_path: Path) -> None:
    folder = make_photos(tmp_path, {"ant": 24, "bee": 24})
    paths = sorted(folder.rglob("*.png"))
    labels = np.repeat(np.arange(2, dtype=np.int32), 24)
    rules = LearningRules(epochs=6, learning_rate=1e-3, batch_size=16)
    school = PaperSchool(PixelShelf(paths), rules)
    heeded: list[int] = []
    pupil = school.pupil(labels, 2, 0, lambda: heeded.append(1))
    rows = np.arange(48)
    pupil.learn(rows[::2])
    body, top = ([np.array(one) for one in part.get_weights()] for part in pupil.parts)
    assert SchemeScore.of(pupil.logits(rows), labels).accuracy > 0.9
    assert len(heeded) > 6 * 2
    pupil.relearn_top(rows[1::2])
    after_body, after_top = (part.get_weights() for part in pupil.parts)
    assert all(np.array_equal(a, b) for a, b in zip(body, after_body, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(top, after_top, strict=True))
    again = school.pupil(labels, 2, 0, lambda: None)
    again.learn(rows[::2])
    assert np.allclose(again.parts[1].get_weights()[0], top[0], atol=1e-5)


def test_a_photo_that_is_gone_is_named(tmp_path: Path) -> None:
    shelf = PixelShelf([tmp_path / "gone.jpg"])
    with pytest.raises(DatasetError, match=r"gone\.jpg"):
        shelf.need(np.arange(1))


def test_more_pixels_than_memory_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "retrain_cli.studies.source_target.paper_network.available_memory", lambda: 10_000
    )
    with pytest.raises(DatasetError, match="50 x 50 pixels are held in memory"):
        PixelShelf([tmp_path / "gone.jpg"]).need(np.arange(1))
