"""Distorted views as a user types them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import QUICK_HEAD, TINY, Outcome, make_photos


@pytest.mark.usefixtures("warm")
def test_views_from_bottlenecks_to_label(retrain: Callable[..., Outcome], tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", {"ant": 9, "bee": 9})
    views = ("--views", 2, "--flip", "--rotate", 90)
    done = retrain("bottlenecks", "photos", *TINY, *views)
    assert "2 views of each (flip rotate=90), 36 of them computed" in done.out
    trained = retrain("train", *QUICK_HEAD, "--testing-percentage", 30, "--name", "viewed")
    assert trained.code == 0, trained.err
    assert "2 of each training photo (flip rotate=90)" in retrain("runs", "show", "viewed").out
    assert ", the mean over each and 2 views of it" in retrain("eval", "--views", 2).out
    photo = sorted((tmp_path / "photos" / "ant").iterdir())[0]
    answer = retrain("label", "--views", 2, photo).json
    assert {one["label"] for one in answer["labels"]} == {"ant", "bee"}
    assert "computes them" in retrain("eval", "--views", 3).refused()
    assert "--views is 0" in retrain("bottlenecks", "photos", *TINY, "--flip").refused(2)
