"""Baselines against scikit-learn, on photos."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import make_photos
from PIL import Image
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.tree import DecisionTreeClassifier

from retrain_cli.errors import DatasetError
from retrain_cli.studies.freezing.early_stop import FreezeRules
from retrain_cli.studies.freezing.pixel_baselines import PixelBaselines, known_rows
from retrain_cli.studies.source_target import paper_network
from retrain_cli.studies.study_data import StudyData

CONTEXT: Any = SimpleNamespace(memory_limit=None, on_progress=lambda progress: None)


@pytest.fixture
def part(make_data: Callable[..., StudyData]) -> StudyData:
    return make_data(1, 2, per_class=20, spread=1.5)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    folder = make_photos(tmp_path, {"ant": 20, "bee": 20, "cat": 20}, size=(50, 50))
    return sorted(folder.rglob("*.png"))


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("tree", DecisionTreeClassifier(random_state=3)),
        ("forest", RandomForestClassifier(random_state=3)),
        ("nearest", NearestCentroid()),
        ("majority", DummyClassifier(strategy="most_frequent")),
    ],
)
def test_answers_are_scikit_learns_by_80_percent_of_the_photos(
    part: StudyData, paths: list[Path], name: str, oracle: Any
) -> None:
    baselines = PixelBaselines(paths, FreezeRules())
    answers, told = baselines.answers(name, part, 3, CONTEXT, lambda: None)
    rows, test = known_rows(part), part.rows("test")
    assert told["trained_on"] == len(rows) == 48
    pixels = np.array([np.asarray(Image.open(path)).reshape(-1) for path in paths])
    inputs = part.data.bottlenecks if name == "nearest" else pixels
    oracle.fit(inputs[rows], part.data.labels[rows])
    np.testing.assert_array_equal(answers, oracle.predict(inputs[test]))


def test_the_small_network_learns_from_60_percent_and_stops(
    part: StudyData, paths: list[Path]
) -> None:
    rules = FreezeRules(epochs=4, patience=2, batch_size=12)
    answers, told = PixelBaselines(paths, rules).answers("cnn", part, 0, CONTEXT, lambda: None)
    assert told["trained_on"] == 36
    rows = told["training"]["rows"]
    assert len(rows) <= told["training"]["best_epoch"] + 2
    assert rows[-1][2] < rows[0][2]  # the loss on validation
    assert len(answers) == 12


def test_more_pixels_than_memory_holds(
    part: StudyData, paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper_network, "available_memory", lambda: 10_000)
    with pytest.raises(DatasetError, match="take baselines='majority,nearest,softmax' alone"):
        PixelBaselines(paths, FreezeRules()).answers("tree", part, 0, CONTEXT, lambda: None)
