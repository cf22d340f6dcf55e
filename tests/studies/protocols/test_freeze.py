"""`study freeze` with a network that knows what it was shown, and its baselines on real pixels."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError, DatasetError, MissingExtraError
from retrain_cli.reports.plots.study_plots import plot_charts
from retrain_cli.studies.freezing import pixel_baselines
from retrain_cli.studies.freezing.early_stop import FreezeRules
from retrain_cli.studies.freezing.frozen_networks import FreezeStart
from retrain_cli.studies.freezing.pixel_baselines import PixelBaselines
from retrain_cli.studies.protocols.freeze import PATTERNS, FreezeStudy, FreezeStudySettings
from retrain_cli.studies.study_data import StudyData

SPEC = BackboneSpec("mobilenet")
STARTS = {
    "pretrained": FreezeStart("pretrained", "pre-trained", SPEC),
    "random": FreezeStart("random", "random", SPEC, is_random=True),
}
SETTINGS = FreezeStudySettings(2)
CHEAP = ("majority", "nearest", "softmax")


class Means:
    """Stands for a network: class means of a random part of the numbers, one more an epoch."""

    def __init__(self, part: Any, start: FreezeStart, seed: int) -> None:
        self._part, self._start, self._seed = part, start, seed
        self._epoch = 0

    def learn(self, epoch: int) -> tuple[float, float]:
        self._epoch = epoch
        return 1 / epoch, min(1.0, epoch / 4)

    def logits(self, rows: Any) -> Any:
        vectors, labels = self._part.bottlenecks, self._part.labels
        width = 1 if self._start.is_random else min(self._epoch, 4)
        known = self._part.training
        means = [
            vectors[known][labels[known] == one, :width].mean(axis=0)
            for one in range(self._part.n_classes)
        ]
        return -np.linalg.norm(vectors[rows][:, None, :width] - np.array(means), axis=2)

    def weights(self) -> Any:
        return [self._epoch]

    def set_weights(self, weights: Any) -> None:
        self._epoch = weights[0]


class Networks:
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    def learner(self, trainable: str, start: Any, part: Any, seed: int, heed: Any) -> Means:
        heed()
        self.asked.append((trainable, start.key, seed))
        return Means(part, start, seed)

    def check(self, trainable: str) -> None:
        raise ConfigError(f"no layer is called {trainable}")


def study_of(**options: Any) -> tuple[FreezeStudy, Networks]:
    networks = Networks()
    bench = SimpleNamespace(networks=networks, baselines=PixelBaselines([], FreezeRules()))
    options = {"baselines": CHEAP, "found": STARTS} | options
    return FreezeStudy(lambda data, rules: nullcontext(bench), **options), networks  # type: ignore[arg-type]


@pytest.fixture
def data(make_data: Callable[..., StudyData]) -> StudyData:
    return make_data(1, 3, per_class=30, spread=1.2, draw=True)


def tables(result: Any) -> dict[str, Any]:
    return {table.name: table for table in result.tables}


def test_each_choice_of_layers_from_each_start_beside_the_baselines(
    conduct: Any, data: StudyData, tmp_path: Path
) -> None:
    study, networks = study_of()
    result = conduct(study, data, SETTINGS)
    found = tables(result)
    assert [row[:2] for row in found["F1"].rows] == [
        ("majority class", "nothing"),
        ("nearest mean", "bottlenecks"),
        ("softmax head", "bottlenecks"),
        *((pattern, "pre-trained") for pattern in PATTERNS),
        *((pattern, "random") for pattern in PATTERNS),
    ]
    # All starts of one choice follow each other, for they share a compiled network.
    assert [asked[:2] for asked in networks.asked[::2]] == [
        (pattern, start) for pattern in PATTERNS for start in STARTS
    ]
    assert {asked[2] for asked in networks.asked} == {0, 1}
    for title in ("baselines", "pre-trained weights", "random weights"):
        rows = found[f"F1 of classes with {title}"].rows
        assert [row[0] for row in rows] == [*data.class_names, "micro avg", "macro avg"]
        for column in range(1, len(rows[0])):
            classes = [row[column] for row in rows[:-2]]
            assert rows[-1][column] == pytest.approx(np.mean(classes))
    curves, _ = result.charts
    assert [line.label for line in curves.series] == ["pre-trained weights", "random weights"]
    plot_charts(result.charts, tmp_path / "freeze.svg")
    parts = [data.select(SETTINGS.config(repeat)) for repeat in range(2)]
    trained = sorted(len(part.data.training) for part in parts)
    tested = sorted(len(part.rows("test")) for part in parts)
    spans = ["-".join(map(str, dict.fromkeys(one))) for one in (trained, tested)]
    assert f" {spans[0]} photos train, {spans[1]} test; sgd" in result.headline
    notes = " | ".join(result.notes)
    assert "all trained, pre-trained weights: +" in notes
    assert "the best network, " in notes
    models = result.to_dict()["models"]
    assert set(models[0]["f1"]) == set(data.class_names)
    assert models[3]["curves"][0]["rows"]


def test_f1_is_scikit_learns(conduct: Any, data: StudyData) -> None:
    study, _ = study_of(trainable=("all",))
    result = conduct(study, data, replace(SETTINGS, repeats=1))
    part = data.select(SETTINGS.config(0))
    rows = part.rows("test")
    true = part.data.labels[rows]
    context: Any = SimpleNamespace(memory_limit=None, on_progress=lambda progress: None)
    baselines = PixelBaselines([], FreezeRules())
    for name, row in zip(CHEAP, tables(result)["F1"].rows, strict=False):
        answers, _ = baselines.answers(name, part, 0, context, lambda: None)
        micro, macro = (f1_score(true, answers, average=one) for one in ("micro", "macro"))
        assert (row[2].value, row[3].value) == pytest.approx((micro, macro))


def test_training_stops_and_the_best_epoch_is_kept(conduct: Any, data: StudyData) -> None:
    study, _ = study_of(trainable=("all",), baselines=("none",), patience=3, epochs=40)
    result = conduct(study, data, SETTINGS)
    for model in result.to_dict()["models"]:
        for curve in model["curves"]:
            accuracies = [row[3] for row in curve["rows"]]
            assert curve["best_epoch"] == 1 + int(np.argmax(accuracies))
            assert len(accuracies) == curve["best_epoch"] + 3
            assert curve["stopped"]
    study, _ = study_of(trainable=("all",), baselines=("none",), epochs=2)
    result = conduct(study, data, SETTINGS)
    assert {row[4] for row in tables(result)["F1"].rows} == {"2+"}
    assert any(note.startswith("+ behind epochs: the limit of 2") for note in result.notes)


def test_a_run_is_one_more_start(conduct: Any, data: StudyData) -> None:
    starts = {**STARTS, "insects": FreezeStart("run 12ab", "insects's", SPEC)}
    study, networks = study_of(trainable=("all",), found=starts, init_from="insects")
    result = conduct(study, data, SETTINGS)
    assert ("all", "run 12ab", 1) in networks.asked
    assert "F1 of classes with insects's weights" in tables(result)
    assert any("pre-trained weights: " in n and "against insects's ones" in n for n in result.notes)


def test_one_repeat_and_three_epochs_where_it_is_to_be_quick(conduct: Any, data: StudyData) -> None:
    study, networks = study_of(quick=True, trainable=("all",))
    result = conduct(study, data, SETTINGS)
    assert len(networks.asked) == 2
    assert result.headline.endswith("once")
    assert any("one repeat says nothing of chance" in note for note in result.notes)


def test_weights_that_have_learned_these_photos_are_refused(data: StudyData) -> None:
    seen = frozenset(one.tobytes() for one in data.images.digest[:7])
    study, _ = study_of(init_from="insects", seen=seen)
    with pytest.raises(DatasetError, match="insects was trained on 7 of these 120"):
        study.trials(data, SETTINGS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"epochs": 0}, "epochs"),
        ({"patience": 0}, "patience"),
        ({"batch_size": 0}, "batch_size"),
        ({"optimizer": "adagrad"}, "optimizer"),
        ({"batch_norm": "off"}, "batch_norm"),
        ({"baselines": ("oak",)}, "takes tree, forest, cnn.*received oak"),
        ({"baselines": ("none",), "trainable": ()}, "needs something to train"),
        ({"baselines": ("none",), "found": {}}, "needs something to train"),
        ({"trainable": ("all", "no_such")}, "no layer is called no_such"),
    ],
)
def test_what_cannot_work_is_refused(data: StudyData, options: Any, said: str) -> None:
    study, _ = study_of(**options)
    with pytest.raises(ConfigError, match=said):
        study.trials(data, SETTINGS)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_a_class_that_a_part_of_the_split_lacks(data: StudyData, code: int) -> None:
    split = data.images.split.copy()
    split[(data.data.labels == 2) & (split == code)] = (code + 1) % 3
    rows = [np.flatnonzero(split == one) for one in (0, 1)]
    part = replace(
        data,
        images=replace(data.images, split=split),
        data=replace(data.data, training=rows[0], validation=rows[1]),
        draws=None,
    )
    name = ("training", "validation", "test")[code]
    with pytest.raises(DatasetError, match=rf"repeat 1 {name} has none of class 02 \(30 photos\)"):
        study_of()[0].trials(part, SETTINGS)


def test_too_few_photos(make_data: Callable[..., StudyData]) -> None:
    data = make_data(1, 5, per_class=2, draw=True)
    with pytest.raises(DatasetError, match=r"\(2 photos\), .*, others: add photos"):
        study_of()[0].trials(data, SETTINGS)


def test_without_scikit_learn(data: StudyData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_baselines, "find_spec", lambda name: None)
    study, _ = study_of(baselines=("tree", "majority"))
    with pytest.raises(
        MissingExtraError, match=r"baselines='majority' leaves out.*retrain-cli\[map"
    ):
        study.trials(data, SETTINGS)
    assert study_of(baselines=CHEAP)[0].trials(data, SETTINGS)
