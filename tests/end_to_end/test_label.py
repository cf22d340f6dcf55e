"""`label` for people: rows and a summary on a terminal, CSV, and photos in folders."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import QUICK_HEAD, TINY, Outcome, make_photos
from terminal import at_a_terminal


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    """Photos, and a workspace with a run."""
    return make_template(
        lambda photos: make_photos(photos, {"ant": 12, "bee": 12}),
        ["bottlenecks", "photos", *TINY],
        ["train", *QUICK_HEAD],
    )


@pytest.fixture
def new(template: Path, tmp_path: Path) -> Path:
    """New photos, one of which is none, beside a copy of the workspace."""
    shutil.copytree(template / ".retrain", tmp_path / ".retrain")
    folder = make_photos(tmp_path / "new", {"x": 3, "y": 2}, seed=5)
    (folder / "y" / "bad.jpg").write_bytes(b"\xff\xd8\xff no more")
    return folder


def test_a_terminal_shows_one_label_a_photo_and_a_summary(
    new: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    with at_a_terminal(["label", "new"], tmp_path, environment) as terminal:
        assert terminal.wait() == 0
        lines = [line.rstrip() for line in terminal.text().splitlines()]
    header = next(i for i, line in enumerate(lines) if line.split() == ["class", "score", "photo"])
    assert all(line.startswith("labelling") for line in lines[:header] if line)  # then wiped out
    rows = [line.split() for line in lines if line.endswith(".png")]
    assert [row[2] for row in rows] == [f"new/{name}" for name in photos_of(new)]
    assert {row[0] for row in rows} <= {"ant", "bee"}
    assert any(line.split() == ["not", "read", "new/y/bad.jpg"] for line in lines)
    start = next(i for i, line in enumerate(lines) if line.split()[:2] == ["class", "photos"])
    counts = [line.split() for line in lines[start + 2 :] if line[:3] in ("ant", "bee")]
    assert sum(int(count[1]) for count in counts) == 5


def photos_of(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.png"))]


def test_csv_has_a_row_for_each_file(new: Path, retrain: Callable[..., Outcome]) -> None:
    rows = list(csv.DictReader(io.StringIO(retrain("label", new, "--csv").out)))
    assert len(rows) == 6
    assert sum(bool(row["error"]) for row in rows) == 1
    assert all(0 < float(row["score"]) <= 1 for row in rows if row["label"])
    both = list(csv.DictReader(io.StringIO(retrain("label", new, "--csv", "-k", 2).out)))
    assert {row["label"] + row["label 2"] for row in both if row["label"]} <= {"antbee", "beeant"}


def test_a_pipe_gets_all_labels_as_before(new: Path, retrain: Callable[..., Outcome]) -> None:
    assert retrain("label", new / "x").out.count('"label"') == 6


def test_photos_are_sorted_and_a_second_time_too(
    new: Path, retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    target = new / "sorted"  # within what is labelled
    first = retrain("label", new, "--sort-into", target)
    placed = sorted(path for path in target.rglob("*") if path.is_file())
    assert len(placed) == 5
    assert "5 photo(s) are in" in first.err
    assert all(path.parent.name in {"ant", "bee"} for path in placed)
    assert retrain("label", new, "--sort-into", target).out == first.out
    assert sorted(path for path in target.rglob("*") if path.is_file()) == placed
    assert len(photos_of(new / "x")) == 3


def test_without_a_label_they_go_to_a_folder_of_their_own(
    new: Path, retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    target = tmp_path / "sorted"
    words = ("label", new, "--threshold", 1, "--sort-into", target, "--move")
    assert retrain(*words).code == 0
    assert len(list((target / "none-of-these").iterdir())) == 5
    assert [path.name for path in new.rglob("*") if path.is_file()] == ["bad.jpg"]


def test_what_cannot_be_sorted_is_refused(new: Path, retrain: Callable[..., Outcome]) -> None:
    assert "--sort-into" in retrain("label", new, "--move").refused(2)
    assert "--link" in retrain(
        "label", new, "--sort-into", "s", "--move", "--link", "hard"
    ).refused(2)
    assert "--stdin-image" in retrain("label", "--stdin-image", "--sort-into", "s").refused(2)
