"""`retrain cache`: what is there, what is sound, what may go, what comes from elsewhere."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.backbones.runtimes.kept_models import KeptModel, find_kept_model, keep_model
from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.durable import DRAFT_PREFIX
from retrain_cli.errors import CacheError, ConfigError, WorkspaceError
from retrain_cli.workflows import cache
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workspace import Workspace


def test_info(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    (info,) = cache.list_caches(workspace)
    assert (info.bottlenecks, info.width, info.in_use) == (36, 32, True)
    assert info.identity["name"] == "mobilenet"
    assert info.bytes > 36 * 32 * 4


def test_verify_finds_damage_and_repair_removes_it(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    path = fill(photos).cache_path
    connection = sqlite3.connect(path)
    connection.execute("UPDATE bottlenecks SET vector = zeroblob(128) WHERE rowid = 5")
    connection.commit()
    connection.close()
    (check,) = cache.verify_caches(workspace)
    assert len(check.damaged) == 1
    (check,) = cache.verify_caches(workspace, repair=True)
    assert check.removed == 1
    (check,) = cache.verify_caches(workspace)
    assert check.damaged == []
    assert fill(photos).computed == 1


def test_gc_removes_what_no_photo_uses(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    shutil.rmtree(photos / "ant")
    fill(photos)
    (dry,) = cache.collect_garbage(workspace, dry_run=True)
    assert (dry.removed, dry.bottlenecks) == (12, 36)
    (check,) = cache.collect_garbage(workspace)
    assert (check.removed, check.bottlenecks) == (12, 24)
    assert fill(photos).computed == 0


def test_merge_brings_what_another_machine_computed(
    photos: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone, tmp_path: Path
) -> None:
    other = Workspace(tmp_path / "other")
    more = make_photos(tmp_path / "more", {"cat": 5, "dog": 5}, seed=3)
    fill_cache(BottleneckRequest(more, SMALL_SPEC), other, load=lambda spec, device: fake_backbone)
    fill(photos)
    (check,) = merge_caches(workspace, other.root).caches
    assert (check.added, check.bottlenecks) == (10, 46)
    assert fill(more).computed == 0
    (check,) = merge_caches(workspace, other.root).caches
    assert check.added == 0


def test_merge_of_a_renamed_file_goes_where_it_is_looked_for(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    path = fill(photos).cache_path
    copy = Path(shutil.copy(path, tmp_path / "my backup.sqlite"))
    path.unlink()
    merge_caches(workspace, copy)
    assert fill(photos).computed == 0


def test_a_cache_is_known_by_its_fingerprint(photos: Path, fill: Any, workspace: Workspace) -> None:
    path = fill(photos).cache_path
    fingerprint = path.stem.rpartition("-")[2]
    path.rename(path.with_name(f"other-{fingerprint}.sqlite"))  # as after a SavedModel has moved
    assert fill(photos).computed == 0


def test_no_cache_leaves_no_trace(workspace: Workspace) -> None:
    assert cache.verify_caches(workspace) == cache.collect_garbage(workspace) == []
    assert not workspace.root.exists()


def test_repair_waits_for_nobody(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    with workspace.lock("bottlenecks"):
        assert cache.verify_caches(workspace)[0].damaged == []
        with pytest.raises(WorkspaceError, match="one command at a time"):
            cache.verify_caches(workspace, repair=True)


def test_merge_of_something_else(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="neither"):
        merge_caches(workspace, tmp_path)


def test_exports_agree_with_each_other(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    fill(photos)
    for suffix in ("npz", "csv", "parquet"):
        assert cache.export_cache(workspace, tmp_path / f"out.{suffix}") == 36
    saved = np.load(tmp_path / "out.npz")
    table = pq.read_table(tmp_path / "out.parquet")
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert saved["paths"].tolist() == table["path"].to_pylist() == [row["path"] for row in rows]
    assert set(saved["splits"].tolist()) == {"training", "validation", "test"}
    from_csv = np.array([[float(row[f"b{i}"]) for i in range(32)] for row in rows], np.float32)
    np.testing.assert_array_equal(saved["bottlenecks"], from_csv)
    np.testing.assert_array_equal(
        saved["bottlenecks"], np.array(table["bottleneck"].to_pylist(), np.float32)
    )


def test_an_export_of_an_unknown_kind(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    fill(photos)
    with pytest.raises(ConfigError, match=r"\.parquet, \.npz, \.csv"):
        cache.export_cache(workspace, tmp_path / "out.xlsx")


def test_a_cache_that_does_not_exist(photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    with pytest.raises(CacheError, match="no cache called 'vgg'"):
        cache.verify_caches(workspace, "vgg")


def test_merge_takes_converted_networks_along(workspace: Workspace, tmp_path: Path) -> None:
    other = Workspace(tmp_path / "other")
    other.prepare()
    spec = SMALL_SPEC.settled_on_own()

    def write(folder: Path) -> None:
        (folder / "model.xml").write_text("<net>\t<rt_info></net>")
        (folder / "model.bin").write_bytes(b"weights")

    kept = keep_model(other.models_dir, spec, write)
    (other.models_dir / ".draft-1").mkdir()
    BottleneckStore(other.cache_dir / f"{spec.slug()}.sqlite", spec.identity()).close()
    for _ in range(2):
        merge_caches(workspace, other.root)
        assert find_kept_model(workspace.models_dir, spec) == KeptModel(
            workspace.models_dir / kept.folder.name, kept.digest
        )
    assert [path.name for path in workspace.models_dir.iterdir()] == [kept.folder.name]


def test_arrays_are_listed_merged_and_swept_up_like_vectors(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    path = fill(photos).cache_path
    other = Path(shutil.copy(path, tmp_path / path.name))
    with BottleneckStore(path) as ours, BottleneckStore(other) as theirs:
        kept, gone = next(ours.digests()), bytes(16)
        views = ArrayBatch(np.ones((2, 7, 7, 4), np.float16))
        ours.arrays.put([(kept, 0), (gone, 0)], views)
        theirs.arrays.put([(kept, 0), (kept, 1)], ArrayBatch(2 * views.data))
        theirs.arrays.put([(kept, 2), (kept, 3)], ArrayBatch.quantised(views.data))
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("UPDATE arrays SET data = zeroblob(195) WHERE view = 3")
    (merged,) = merge_caches(workspace, other).caches
    assert (merged.added, merged.added_arrays, merged.bottlenecks, merged.arrays) == (0, 2, 36, 4)
    assert [(damage.digest, damage.view) for damage in merged.left_out] == [(kept.hex(), 3)]
    with BottleneckStore(path) as ours:
        assert ours.arrays.views(kept) == [0, 1, 2]
        assert ours.arrays.read([(kept, 0), (kept, 1)]).data.mean() == 1.5  # what was there stayed
    (info,) = cache.list_caches(workspace)
    assert (info.bottlenecks, info.arrays) == (36, 4)
    (dry,) = cache.collect_garbage(workspace, dry_run=True)
    (done,) = cache.collect_garbage(workspace)
    assert (dry.removed, dry.arrays, done.removed, done.arrays) == (1, 4, 1, 3)


def test_repair_removes_damaged_arrays_alone(photos: Path, fill: Any, workspace: Workspace) -> None:
    path = fill(photos).cache_path
    with BottleneckStore(path) as store:
        digest = next(store.digests())
        store.arrays.put([(digest, 0), (digest, 1)], ArrayBatch(np.ones((2, 9), np.float16)))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE arrays SET data = zeroblob(18) WHERE view = 1")
    (check,) = cache.verify_caches(workspace, repair=True)
    assert (check.removed, check.bottlenecks, check.arrays, check.unrepaired) == (1, 36, 1, False)
    assert check.to_dict()["damaged"][0]["view"] == 1
    (check,) = cache.verify_caches(workspace)
    assert check.damaged == []


def test_an_export_of_arrays_alone_is_refused(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    path = fill(photos).cache_path
    with BottleneckStore(path) as store:
        digests = list(store.digests())
        store.remove(digests)
        store.arrays.put([(digests[0], 0)], ArrayBatch(np.ones((1, 9), np.float16)))
    with pytest.raises(CacheError, match="holds arrays alone"):
        cache.export_cache(workspace, tmp_path / "out.npz")


def test_what_a_killed_repair_left_is_neither_listed_nor_kept(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    path = fill(photos).cache_path
    draft = workspace.cache_dir / f"{DRAFT_PREFIX}abc" / path.name
    draft.parent.mkdir()
    older = path.with_name(f".{path.stem}.4711.sqlite")  # as the version before called it
    for left in (draft, older):
        shutil.copy(path, left)
    assert [info.path for info in cache.list_caches(workspace)] == [path]
    assert len(cache.verify_caches(workspace)) == 1
    cache.collect_garbage(workspace)
    assert draft.exists()  # young: its writer may be alive
    assert older.exists()
    for left in (draft, draft.parent, older):
        os.utime(left, (0, 0))
    (check,) = cache.collect_garbage(workspace)
    assert check.bottlenecks == 36
    assert list(workspace.cache_dir.iterdir()) == [path]


def test_a_repair_that_is_killed_leaves_the_file_and_no_second_cache(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fill(photos).cache_path
    with path.open("r+b") as file:
        file.write(b"\xff" * 100)
    before = path.read_bytes()

    def killed(*_: object, **__: object) -> None:
        raise _KilledError

    with monkeypatch.context() as patch, pytest.raises(_KilledError):
        for name in ("replace", "unlink", "rmdir"):
            patch.setattr(os, name, killed)
        cache.verify_caches(workspace, repair=True)
    assert path.read_bytes() == before
    assert cache_files(workspace.cache_dir) == [path]
    (check,) = cache.verify_caches(workspace, repair=True)
    assert check.salvaged is not None
    assert check.salvaged.saved == 36


class _KilledError(BaseException):
    """Not an Exception: nothing catches it on its way."""
