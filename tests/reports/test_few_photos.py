"""Warnings of classes with few photos: who is told what, in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers import make_photos

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.few_photos import warn_of_few
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=5, eval_every=5)


def test_nothing_is_said_of_enough_photos() -> None:
    assert warn_of_few(["ant", "bee"], [20, 20], [5, 5]) == ()


def test_small_classes_and_small_tests_are_told_with_numbers() -> None:
    images, test = warn_of_few(["ant", "bee", "cat"], [19, 200, 3], [2, 20, 0])
    assert images.startswith("2 classes have fewer than 20 photos (cat 3, ant 19): add some")
    assert test == (
        "2 classes have fewer than 5 test photos (cat 0, ant 2), one photo being 50 points or more "
        "of its accuracy: `retrain train --cv 5` tests on every photo, `retrain train --few-shot` "
        "trains on every photo, too"
    )


def test_of_many_only_the_smallest_are_named() -> None:
    names = [f"class {number}" for number in range(30)]
    (told,) = warn_of_few(names, range(30), [])
    assert told.startswith(
        "20 classes have fewer than 20 photos (class 0 0, class 1 1, class 2 2, class 3 3, 16 more)"
    )


def test_nothing_is_said_of_a_test_that_nobody_asked_for() -> None:
    assert warn_of_few(["ant"], [50], [0]) == ()


def test_bottlenecks_and_train_tell(tmp_path: Path, fill: Any, workspace: Workspace) -> None:
    summary = fill(make_photos(tmp_path / "photos", {"ant": 30, "bee": 8}))
    assert any(
        told.startswith("1 class has fewer than 20 photos (bee 8)") for told in summary.few_photos
    )
    told: list[str] = []
    train_run(TrainRequest(CONFIG), workspace, on_warning=told.append)
    assert any(one.startswith("1 class has fewer than 20 photos (bee 8)") for one in told)
    assert any("test photos" in one for one in told)


def test_folds_test_on_every_photo(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    told: list[str] = []
    train_run(TrainRequest(CONFIG, cv=2), workspace, on_warning=told.append)
    assert len(told) == 1
    assert "fewer than 20 photos" in told[0]
