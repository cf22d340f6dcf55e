"""Damage, full disks, names of any bytes, lost weights: nothing that was computed is lost."""

from __future__ import annotations

import os
import resource
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, make_photos

from retrain_cli.errors import CacheError, ImageError, RetrainError, WorkspaceError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows import cache
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

TRAIN = TrainRequest(TrainingConfig(steps=20))


def test_repair_saves_a_damaged_file_and_the_rest_is_computed_again(
    tmp_path: Path, fill: Any, workspace: Workspace
) -> None:
    photos = make_photos(tmp_path / "photos", {"ant": 200, "bee": 200})
    path = fill(photos).cache_path
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096)
    (check,) = cache.verify_caches(workspace)
    assert check.unrepaired
    (check,) = cache.verify_caches(workspace, repair=True)
    assert not check.unrepaired
    assert check.salvaged is not None
    assert 0 < check.salvaged.lost < 40
    assert check.to_dict()["salvaged"]["saved"] == 400 - check.salvaged.lost
    (check_again,) = cache.verify_caches(workspace)
    assert check_again.damaged == []
    assert fill(photos).computed == check.salvaged.lost


def test_a_cache_that_is_no_database_any_more_is_saved_too(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    path = fill(photos).cache_path
    path.write_bytes(b"\xff" * 4096 + path.read_bytes()[4096:])
    with pytest.raises(CacheError, match="--repair"):
        fill(photos)
    (check,) = cache.verify_caches(workspace, repair=True)
    assert (check.bottlenecks, check.unrepaired) == (36, False)
    assert fill(photos).computed == 0


def test_a_cache_of_a_newer_version_is_not_repaired(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    path = fill(photos).cache_path
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CacheError, match="newer version"):
        cache.verify_caches(workspace, repair=True)
    assert path.read_bytes() == before


def test_a_damaged_index_is_made_again_and_nothing_is_computed(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    workspace.index_path.write_bytes(b"\xff" * 20_000)
    with pytest.raises(CacheError, match="--repair"):
        fill(photos)
    assert [check.name for check in cache.verify_caches(workspace) if check.damaged] == ["index"]
    assert not any(check.unrepaired for check in cache.verify_caches(workspace, repair=True))
    summary = fill(photos)
    assert (summary.found, summary.computed) == (36, 0)


def test_plan_heeds_strict(photos: Path, workspace: Workspace) -> None:
    (photos / "ant" / "bad.png").write_bytes(b"")
    request = BottleneckRequest(photos, SMALL_SPEC)
    assert len(plan_bottlenecks(request, workspace).bad) == 1
    with pytest.raises(ImageError, match=r"ant/bad\.png: 0 bytes"):
        plan_bottlenecks(replace(request, settings=ExtractionSettings(strict=True)), workspace)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "my.weights.h5"
    path.write_bytes(b"stands for weights: the backbone is a fake one")
    return path


def test_training_needs_no_weights_file(
    photos: Path, fill: Any, workspace: Workspace, weights: Path
) -> None:
    fill(photos, backbone=replace(SMALL_SPEC, weights=str(weights)))
    weights.unlink()
    run = train_run(TRAIN, workspace).run
    assert run.info.cache == cache.list_caches(workspace)[0].path.stem.rpartition("-")[2]
    assert train_run(replace(TRAIN, init_from=run.name), workspace).run.name != run.name
    assert cache.list_caches(workspace)[0].in_use


def test_a_state_of_an_older_version_still_works(
    photos: Path, fill: Any, workspace: Workspace, weights: Path
) -> None:
    fill(photos, backbone=replace(SMALL_SPEC, weights=str(weights)))
    state = workspace.read_state()
    del state["last_used"]["fingerprint"]
    workspace.write_state(state)
    assert train_run(TRAIN, workspace).run.name
    weights.unlink()
    with pytest.raises(RetrainError, match=r"my\.weights\.h5"):
        train_run(TRAIN, workspace)


def test_training_after_the_cache_is_gone_says_what_to_do(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos).cache_path.unlink()
    with pytest.raises(CacheError, match="run `retrain bottlenecks` again"):
        train_run(TRAIN, workspace)


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_class_names_of_any_bytes(tmp_path: Path, fill: Any, workspace: Workspace) -> None:
    names = ["new\nline", 'it\'s "so"', "🐶", os.fsdecode(b"latin\xe9")]
    fill(make_photos(tmp_path / "photos", dict.fromkeys(names, 6)))
    run = train_run(TRAIN, workspace).run
    again = RunStore(workspace.runs_dir).get(run.name)
    assert again.labels == again.head.labels == tuple(sorted(names))


def test_a_full_disk_leaves_no_part_of_a_run(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    first = train_run(TRAIN, workspace).run
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, unlimited[1]))

    try:
        with pytest.raises(WorkspaceError, match="free some space"):
            train_run(TRAIN, workspace, fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert [path.name for path in workspace.runs_dir.iterdir()] == [first.name]
    assert RunStore(workspace.runs_dir).latest().head.labels == ("ant", "bee", "teapot")


def test_a_full_disk_under_the_index_keeps_the_vectors(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        path.rename(path.with_name("a long name " * 15 + f"{number}.png"))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, unlimited[1]))
    try:
        with pytest.raises(RetrainError, match=r"free some space"):
            fill(photos)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    summary = fill(photos)
    assert (summary.found, summary.computed) == (36, 0)


def test_the_latest_run_is_the_last_one_though_the_clock_went_back(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    first = train_run(replace(TRAIN, name="first"), workspace).run
    tomorrow = 4_000_000_000 * 10**9
    os.utime(first.folder / "config.json", ns=(tomorrow, tomorrow))
    train_run(replace(TRAIN, name="second"), workspace)
    assert [run.name for run in RunStore(workspace.runs_dir).list()] == ["second", "first"]
