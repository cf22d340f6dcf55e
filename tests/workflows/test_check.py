"""`check`, its script, and near duplicates as split groups, with the fake backbone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_photos
from PIL import Image

from retrain_cli.datasets.moves import write_script
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.reports.data_problems import find_problems
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.workflows import check as check_module
from retrain_cli.workflows.check import CheckRequest, check_dataset, default_quarantine
from retrain_cli.workflows.evaluate import EvalRequest, evaluate
from retrain_cli.workflows.shared.apply_moves import apply_script, plan_script, plan_undo, undo_last
from retrain_cli.workflows.shared.leaks import known_alike
from retrain_cli.workflows.shared.suggestions import make_script
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


@pytest.fixture
def messy(tmp_path: Path) -> Any:
    """Three classes of thirty photos, and one fault of each kind."""
    root = make_photos(tmp_path / "photos", {"ant": 30, "bee": 30, "teapot": 30})
    (root / "ant/0000.png").rename(root / "bee/stray.png")
    shutil.copy(root / "ant/0001.png", root / "ant/copy.png")
    shutil.copy(root / "ant/0002.png", root / "teapot/copy.png")
    Image.new("RGB", (80, 80), (128, 128, 128)).save(root / "bee/blank.png")
    dark = np.random.default_rng(0).integers(0, 36, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(dark).resize((80, 80)).save(root / "bee/night.png")
    Image.open(root / "bee/0003.png").resize((400, 100)).save(root / "bee/wide.png")
    (root / "ant/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    return root


def found(report: Any) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for odd in report.odd:
        kinds.setdefault(odd.problem.kind, set()).add(report.dataset.paths[odd.row])
    return kinds


def test_each_planted_fault_is_found(messy: Any, fill: Any, workspace: Workspace) -> None:
    fill(messy)
    report = check_dataset(CheckRequest(), workspace)
    assert [path for path, _ in report.bad] == ["ant/broken.jpg"]
    kinds = found(report)
    assert kinds["blank"] == {"bee/blank.png"}
    assert kinds["very dark"] == {"bee/night.png"}
    assert kinds["odd aspect"] == {"bee/wide.png"}
    assert "bee/blank.png" not in kinds["tiny"]
    exact = {
        frozenset(report.dataset.paths[row] for row in group.rows): group.classes
        for group in report.duplicates
        if group.kind == "exact"
    }
    assert exact == {
        frozenset({"ant/0001.png", "ant/copy.png"}): 1,
        frozenset({"ant/0002.png", "teapot/copy.png"}): 2,
    }
    issues = {report.dataset.paths[i.row]: i.suggested for i in report.labels}
    assert issues["bee/stray.png"] == "ant"


def test_a_second_check_opens_no_photo(
    messy: Any, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(messy)
    first = check_dataset(CheckRequest(labels=False), workspace)
    assert first.labels is None
    shutil.rmtree(messy)
    again = check_dataset(CheckRequest(labels=False), workspace)
    assert found(again) == found(first)
    assert again.unseen == len(again.dataset) + len(again.bad)  # all are gone, and that is told


def test_photos_that_changed_are_not_judged_by_what_they_were(
    messy: Any, fill: Any, workspace: Workspace
) -> None:
    fill(messy)
    Image.new("RGB", (80, 80)).save(messy / "ant/0005.png")
    report = check_dataset(CheckRequest(labels=False), workspace)
    assert report.unseen == 1
    assert found(report)["blank"] == {"bee/blank.png"}


def test_small_classes_are_told(tmp_path: Path, fill: Any, workspace: Workspace) -> None:
    fill(make_photos(tmp_path / "photos", {"ant": 130, "bee": 12, "teapot": 5, "yak": 1}))
    report = check_dataset(CheckRequest(labels=False), workspace)
    told = {entry.class_name: (entry.images, entry.problem) for entry in report.classes}
    assert set(told) == {"bee", "teapot", "yak"}
    assert "11 times as many" in told["bee"][1]
    assert "fewer than 10" in told["yak"][1]


def test_moves_are_made_and_undone_and_nothing_is_lost(
    messy: Any, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    fill(messy)
    script = make_script(check_dataset(CheckRequest(), workspace), default_quarantine(messy))
    path = tmp_path / "moves.txt"
    write_script(script, path)
    before = {p.relative_to(messy): p.read_bytes() for p in messy.rglob("*") if p.is_file()}
    planned = plan_script(path, workspace)
    assert {p.relative_to(messy): p.read_bytes() for p in messy.rglob("*") if p.is_file()} == before
    with pytest.raises(DatasetError, match="did nothing"):
        plan_undo(workspace)
    done = apply_script(path, workspace)
    assert done.moves == planned.moves == plan_undo(workspace).moves
    assert {m.source for m in done.moves} == {
        str(messy / move.source) for move in script.moves if move.sure
    }
    assert (messy / "ant/stray.png").is_file()
    quarantine = tmp_path / "photos-quarantine"
    assert {"blank.png", "broken.jpg", "copy.png"} <= {p.name for p in quarantine.rglob("*.*")}
    with pytest.raises(DatasetError, match="is gone"):
        apply_script(path, workspace)
    undo_last(workspace)
    after = {p.relative_to(messy): p.read_bytes() for p in messy.rglob("*") if p.is_file()}
    assert after == before
    assert not list(quarantine.rglob("*.*"))
    with pytest.raises(DatasetError, match="did nothing"):
        undo_last(workspace)


def test_a_quarantine_in_the_image_folder_would_be_a_class(
    messy: Any, fill: Any, workspace: Workspace
) -> None:
    fill(messy)
    with pytest.raises(ConfigError, match="outside"):
        make_script(check_dataset(CheckRequest(labels=False), workspace), messy / "quarantine")


def test_the_reason_is_told_where_labels_cannot_be_judged(
    messy: Any, fill: Any, workspace: Workspace
) -> None:
    fill(messy)
    report = check_dataset(CheckRequest(folds=1), workspace)
    assert report.labels is None
    assert report.labels_missing


def test_nothing_is_suggested_where_the_classifier_is_near_chance(
    messy: Any, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(messy)
    monkeypatch.setattr(check_module, "SLIGHT_AGREEMENT", 1.0)  # as if this one were
    report = check_dataset(CheckRequest(folds=2), workspace)
    assert report.labels is None
    assert re.search(
        r"agrees with [\d.]+% of the labels, where chance gives 3\d", report.labels_missing
    )


def smooth_photos(root: Any, n: int, start: int = 0) -> None:
    for number in range(start, start + n):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        photo = Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC)
        folder = root / ("ant", "bee")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        photo.save(folder / f"{number:03}.png")


def test_near_duplicates_share_a_split_and_stay_when_photos_are_added(
    tmp_path: Path, fill: Any, workspace: Workspace
) -> None:
    root = tmp_path / "photos"
    smooth_photos(root, 60)
    fill(root, group="near-duplicates")

    def splits() -> dict[str, int]:
        images = load_training_set(workspace, TrainingConfig()).images
        return dict(zip(images.paths, images.split.tolist(), strict=True))

    first = splits()
    for number in range(0, 60, 2):  # half-size versions, in the same class and in the other
        source = Image.open(root / "ant" / f"{number:03}.png")
        folder = ("ant", "bee")[number % 4 // 2]
        source.resize((60, 45)).save(root / folder / f"small_{number:03}.png")
    smooth_photos(root, 30, start=60)
    summary = fill(root, group="near-duplicates")
    assert summary.near_duplicates.groups == 30
    assert summary.near_duplicates.photos == 60
    grown = splits()
    assert {path: grown[path] for path in first} == first
    for number in range(0, 60, 2):
        folder = ("ant", "bee")[number % 4 // 2]
        assert grown[f"{folder}/small_{number:03}.png"] == grown[f"ant/{number:03}.png"]
    assert fill(root).near_duplicates is None
    assert splits() != grown


def test_groups_that_are_gone_are_an_error(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos, group="near-duplicates")
    workspace.photos_path.unlink()
    with pytest.raises(DatasetError, match="--group near-duplicates"):
        load_training_set(workspace, TrainingConfig())
    with pytest.raises(ConfigError, match="near-duplicates"):
        fill(photos, group="colour")


def test_an_interrupted_look_keeps_what_was_seen(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(photos)

    def stop(stage: str, done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_module.check_dataset(CheckRequest(labels=False), workspace, stop)
    with PhotoFacts(workspace.photos_path) as facts:
        assert len(facts.looks()) == 7


def test_a_leak_is_the_same_to_check_evaluation_and_report(
    tmp_path: Path, fill: Any, workspace: Workspace
) -> None:
    root = tmp_path / "photos"
    smooth_photos(root, 60)
    for number in range(20):
        path = root / ("ant", "bee")[number % 2] / f"{number:03}.png"
        half = Image.open(path).resize((60, 45))
        half.save(path.with_name(f"half_{number:03}.png"))
    fill(root)
    train_run(TrainRequest(TrainingConfig(steps=20)), workspace)
    evaluation = evaluate(EvalRequest(), workspace)
    assert evaluation.n_leaked == 0, "nobody looked at the photos yet"
    report = check_dataset(CheckRequest(labels=False), workspace)
    torn = [group for group in report.duplicates if group.splits > 1]
    leaked = {row for group in torn for row in group.rows if report.splits[row] == "test"}
    assert leaked
    assert evaluate(EvalRequest(), workspace).n_leaked == len(leaked)
    images = evaluation.run.predictions.images
    problems = find_problems(images, evaluation.run.labels, (), known_alike(workspace))
    near = next(one for one in problems if one.title.startswith("near duplicates"))
    assert near.count == len(torn)
