"""A workspace that the version before made is gone on with: nothing is computed or made anew."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from helpers import PROJECT

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.verification import verify_store
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.studies.protocols.examples import ExamplesStudy
from retrain_cli.studies.runner import StudyProgress
from retrain_cli.studies.study import StudySettings
from retrain_cli.workflows import cache
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.study import run_study
from retrain_cli.workflows.summaries.bottleneck_summary import BottleneckSummary
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

KEPT = PROJECT / "tests" / "data" / "version_before" / "workspace"
MADE_IN = "/tmp/storefix/photos"
SPEC = BackboneSpec(name="mobilenet", alpha=0.25, weights="random", input_size=32, runtime="keras")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A copy of the photos, each with the time of change that the index remembers."""
    photos = Path(shutil.copytree(KEPT / "photos", tmp_path / "photos"))
    with closing(
        sqlite3.connect(f"{(KEPT / 'state/index.sqlite').as_uri()}?immutable=1", uri=True)
    ) as index:
        for folder, name, time in index.execute("SELECT folder, name, mtime_ns FROM files"):
            os.utime(photos / folder.decode() / name.decode(), ns=(time, time))
    return photos


@pytest.fixture
def workspace(tmp_path: Path, photos: Path) -> Workspace:
    """A copy of the workspace that knows where the copied photos lie, and nothing else is new."""
    state = Path(shutil.copytree(KEPT / "state", tmp_path / "state"))
    with closing(sqlite3.connect(state / "index.sqlite")) as index, index:
        moved = index.execute(
            "UPDATE datasets SET root = ? WHERE root = ?", (os.fsencode(photos), MADE_IN.encode())
        )
        assert moved.rowcount == 1
    text = (state / "state.json").read_text()
    (state / "state.json").write_text(text.replace(MADE_IN, str(photos)))
    return Workspace(state)


def cache_path(workspace: Workspace) -> Path:
    (path,) = workspace.cache_dir.glob("*.sqlite")
    return path


def fill(photos: Path, workspace: Workspace) -> BottleneckSummary:
    def load(*_: object) -> None:
        raise AssertionError("all is cached, and the backbone is asked for")

    return fill_cache(BottleneckRequest(photos, SPEC), workspace, load=load)  # type: ignore[arg-type]


def test_everything_is_cached(photos: Path, workspace: Workspace) -> None:
    result = fill(photos, workspace)
    assert (result.computed, result.cached) == (0, 18)
    with closing(sqlite3.connect(cache_path(workspace))) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)  # as it was


def test_the_index_of_another_place_costs_a_look_and_nothing_more(
    photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    moved = photos.rename(tmp_path / "elsewhere")
    result = fill(moved, workspace)
    assert (result.computed, result.cached) == (0, 18)


def test_its_head_trains(photos: Path, workspace: Workspace) -> None:
    fill(photos, workspace)
    assert train_run(TrainRequest(TrainingConfig(steps=5)), workspace).last_step == 5


def test_its_caches_are_listed_verified_merged_exported_and_swept(
    photos: Path, workspace: Workspace, tmp_path: Path
) -> None:
    (info,) = cache.list_caches(workspace)
    assert (info.bottlenecks, info.width, info.arrays, info.in_use) == (18, 256, 0, True)
    (check,) = cache.verify_caches(workspace)
    assert (check.damaged, check.bottlenecks) == ([], 18)
    assert cache.export_cache(workspace, tmp_path / "out.npz") == 18
    assert np.load(tmp_path / "out.npz")["bottlenecks"].shape == (18, 256)
    other = Workspace(tmp_path / "other")
    (merged,) = merge_caches(other, workspace.root).caches
    assert (merged.added, merged.bottlenecks) == (18, 18)
    (back,) = merge_caches(workspace, other.root).caches
    assert (back.added, back.bottlenecks) == (0, 18)
    (swept,) = cache.collect_garbage(workspace)
    assert (swept.removed, swept.bottlenecks) == (0, 18)


def test_it_is_written_to_vectors_and_arrays(workspace: Workspace) -> None:
    with BottleneckStore(cache_path(workspace)) as store:
        digests = list(store.digests())
        before = store.read(digests)
        store.put([bytes(16)], np.ones((1, 256), np.float32))
        store.arrays.put([(digests[0], 1)], ArrayBatch(np.ones((1, 7, 7, 8), np.float16)))
        np.testing.assert_array_equal(store.read(digests), before)
        assert (len(store), len(store.arrays), verify_store(store).damaged) == (19, 1, ())


def test_its_other_files_open(workspace: Workspace) -> None:
    used = LastUsed.load(workspace)
    assert used.backbone.fingerprint() in cache_path(workspace).name
    with PhotoFacts(workspace.photos_path) as facts:
        assert facts.verify() == []
        assert facts.looks() == {}, "they lack the second hash: each photo is looked at once more"


def test_its_file_of_photos_is_upgraded_and_keeps_what_it_holds(workspace: Workspace) -> None:
    path = workspace.photos_path
    with closing(sqlite3.connect(path)) as before, before:
        before.execute("INSERT INTO near_duplicates VALUES (?, ?)", (b"a" * 16, b"b" * 16))
        assert before.execute("PRAGMA user_version").fetchone() == (1,)
        looks = before.execute("SELECT * FROM looks ORDER BY digest").fetchall()
    with PhotoFacts(path) as facts:
        assert facts.alike() == {}, "no check of this version has seen them"
        assert facts.founders() == {b"a" * 16: b"b" * 16}
        facts.remember_alike({bytes(16): bytes(16)})
    with PhotoFacts(path) as facts:
        assert facts.alike() == {bytes(16): bytes(16)}
    with closing(sqlite3.connect(path)) as after:
        assert after.execute("PRAGMA user_version").fetchone() == (2,)
        assert after.execute("SELECT * FROM looks ORDER BY digest").fetchall() == looks


def test_its_photos_are_looked_at_once_more(photos: Path, workspace: Workspace) -> None:
    fill(photos, workspace)
    check_dataset(CheckRequest(labels=False), workspace)
    with PhotoFacts(workspace.photos_path) as facts:
        assert len(facts.looks()) == 18


def test_its_finished_trials_are_of_other_rules(photos: Path, workspace: Workspace) -> None:
    """They kept the head of the highest accuracy on validation; a study must not mix both."""
    fill(photos, workspace)
    settings = StudySettings(repeats=1, training=TrainingConfig(steps=5))
    told: list[StudyProgress] = []
    run_study(ExamplesStudy((2,)), workspace, settings, on_progress=told.append)
    assert (told[-1].done, told[-1].kept) == (2, 0)
    run_study(ExamplesStudy((2,)), workspace, settings, on_progress=told.append)
    assert (told[-1].done, told[-1].kept) == (0, 2)
