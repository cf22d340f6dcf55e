"""A dataset in shards: the same as in one run, whatever happens between."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.errors import CacheError, ConfigError, WorkspaceError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.distortions import Distortion
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workflows.sharding.shard_place import ShardRecord, in_words
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


def rows_of(workspace: Workspace) -> dict[str, list[Any]]:
    """All vectors and arrays of a workspace by cache file, as stored."""
    found: dict[str, list[Any]] = {}
    for path in cache_files(workspace.cache_dir):
        with BottleneckStore(path) as store:
            arrays = sorted((row.key, row.data) for row in store.arrays.scan())
            found[path.name] = [*sorted(store.scan()), *arrays]
    return found


def whole(mixed: Path, tmp_path: Path, load: FakeBackbone, **changes: Any) -> Workspace:
    """The same photos in one run."""
    workspace = Workspace(tmp_path / "whole")
    request = BottleneckRequest(mixed, SMALL_SPEC, settings=ExtractionSettings(batch_size=8))
    fill_cache(replace(request, **changes), workspace, load=lambda spec, device: load)
    return workspace


def test_merged_shards_are_one_run_bit_by_bit(
    fill_shards: Any,
    fill: Any,
    mixed: Path,
    workspace: Workspace,
    tmp_path: Path,
    fake_backbone: FakeBackbone,
) -> None:
    summaries = fill_shards()
    assert sum(summary.found for summary in summaries) == 37
    assert [path for summary in summaries for path, _ in summary.bad] == ["ant/bad.jpg"]
    merged = merge_caches(workspace)
    assert [(one.missing, one.unfinished) for one in merged.shards] == [((), ())]
    assert rows_of(workspace) == rows_of(whole(mixed, tmp_path, FakeBackbone()))

    seen = fake_backbone.images_seen
    summary = fill(mixed)
    assert (summary.found, summary.cached, summary.computed) == (37, 37, 0)
    assert fake_backbone.images_seen == seen
    train_run(TrainRequest(TrainingConfig(optimizer="ridge")), workspace)


def test_what_shards_learnt_of_the_files_comes_along(
    fill_shards: Any, mixed: Path, workspace: Workspace
) -> None:
    """No file is read again but the bad one, which may have been mended."""
    fill_shards()
    merge_caches(workspace)
    with FileIndex(workspace.index_path) as index:
        files = {(f.folder, f.name): f.problem for f in index.files(index.dataset_id(mixed))}
    assert len(files) == 39
    assert {key for key, problem in files.items() if problem} == {("ant", "bad.jpg")}


def test_a_merge_that_is_cut_short_is_repeated(
    fill_shards: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_shards()

    def stop(name: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge_caches(workspace, on_row=stop)
    kept = sum(map(len, rows_of(workspace).values()))
    assert 0 < kept < 36
    (cache,) = merge_caches(workspace).caches
    assert (cache.added, cache.bottlenecks) == (36 - kept, 36)
    assert merge_caches(workspace).caches[0].added == 0


def test_what_a_shard_says(fill_shards: Any, workspace: Workspace) -> None:
    first, second = fill_shards(1, 3)
    assert first.shard is not None
    assert (first.shard.done, first.shard.missing) == ((1,), (2, 3, 4))
    assert (second.shard.done, second.shard.missing) == ((1, 3), (2, 4))
    assert first.classes == []
    (shards,) = merge_caches(workspace).shards
    assert shards.missing == (2, 4)
    fill_shards(2, 4)
    folder = next(workspace.shards_dir.glob("*"))
    (shards,) = merge_caches(workspace, folder / "2").shards  # one after the other
    assert shards.missing == (4,)
    (shards,) = merge_caches(workspace, [folder / "4"]).shards
    assert shards.missing == ()


def test_shards_of_another_folder_are_none_of_this_one(
    fill_shards: Any, fill: Any, mixed: Path, workspace: Workspace, tmp_path: Path
) -> None:
    """Both are computed by one backbone, and cut into as many parts."""
    fill_shards()
    merge_caches(workspace)
    other = make_photos(tmp_path / "more", {"cat": 9, "dog": 9}, seed=7)
    first = fill(other, shard="1/4")
    assert first.shard.missing == (2, 3, 4)
    missing = {shards.image_dir: shards.missing for shards in merge_caches(workspace).shards}
    assert missing == {str(mixed): (), str(other): (2, 3, 4)}
    for number in (2, 3, 4):
        fill(other, shard=f"{number}/4")
    (shards,) = merge_caches(workspace).shards
    assert (shards.image_dir, shards.missing) == (str(other), ())
    assert fill(other).computed == 0


def test_a_shard_that_was_stopped_is_told(
    fill_shards: Any, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    def stop(counts: Any) -> None:
        if counts.done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill_shards(1, on_progress=stop, settings=ExtractionSettings(batch_size=2))
    fill_shards(2, 3, 4)
    (shards,) = merge_caches(workspace).shards
    assert (shards.missing, shards.unfinished) == ((), (1,))
    fill_shards(1)
    (shards,) = merge_caches(workspace).shards
    assert (shards.missing, shards.unfinished) == ((), ())


def test_views_are_merged_too(
    fill_shards: Any, mixed: Path, workspace: Workspace, tmp_path: Path
) -> None:
    views = {"views": 2, "distortion": Distortion(flip=True, crop=10)}
    fill_shards(**views)
    merge_caches(workspace)
    rows = rows_of(workspace)
    assert sorted(map(len, rows.values())) == [36, 72]
    assert rows == rows_of(whole(mixed, tmp_path, FakeBackbone(), **views))


def test_a_class_may_be_in_no_photo_of_a_shard(fill: Any, photos: Path, tmp_path: Path) -> None:
    rulings = tmp_path / "rulings.csv"
    rulings.write_text("class,int|ext\nant,ext\n")
    summaries = [fill(photos, shard=f"{number}/100", int_ext=rulings) for number in (1, 2, 3)]
    assert min(summary.found for summary in summaries) <= 1


def test_the_first_shard_settles_for_all(
    fill: Any, mixed: Path, workspace: Workspace, tmp_path: Path
) -> None:
    """A machine without the disk of the first shard takes a copy of what that settled."""
    fill(mixed, shard="1/4")
    (settled,) = workspace.shards_dir.glob("*/settled")
    copy = Path(shutil.copytree(settled, tmp_path / "copy"))
    other = Workspace(tmp_path / "other")
    open_spec = replace(SMALL_SPEC, precision="auto", runtime="auto")
    request = BottleneckRequest(mixed, open_spec, shard="2/4", settled=copy)
    fake = FakeBackbone()
    summary = fill_cache(request, other, load=lambda spec, device: fake)
    assert summary.used.backbone.fingerprint() == SMALL_SPEC.fingerprint()

    with pytest.raises(WorkspaceError, match="the first shard says where"):
        fill(mixed, shard="2/4", settled=tmp_path / "nothing")
    with pytest.raises(ConfigError, match="another backbone"):
        fill(mixed, shard="2/4", settled=copy, backbone=replace(SMALL_SPEC, input_size=64))
    (copy / "settled.json").write_text('{"precision": 7}')
    with pytest.raises(WorkspaceError, match="cannot be read"):
        fill(mixed, shard="2/4", settled=copy)


def test_shards_that_settled_otherwise_are_refused(
    fill_shards: Any, workspace: Workspace, tmp_path: Path
) -> None:
    fill_shards(1, 2)
    (record,) = workspace.shards_dir.glob("*/2/shard.json")
    other = json.loads(record.read_text()) | {"fingerprint": "0" * 12, "backbone": "x (bfloat16)"}
    record.write_text(json.dumps(other))
    with pytest.raises(CacheError, match=r"shard 2/4 .* by x \(bfloat16\) .* nothing was merged"):
        merge_caches(workspace)
    assert rows_of(workspace) == {}
    merge_caches(workspace, record.parent.with_name("1"))
    with pytest.raises(CacheError, match="what was merged here before"):
        merge_caches(workspace, record.parent)


@pytest.mark.parametrize("text", ["", "[]", '{"shard": 3}', "{" * 100_000])
def test_a_damaged_record(text: str, fill_shards: Any, workspace: Workspace) -> None:
    fill_shards(1)
    (record,) = workspace.shards_dir.glob("*/1/shard.json")
    record.write_text(text)
    with pytest.raises(WorkspaceError, match="run that shard again"):
        merge_caches(workspace)
    assert fill_shards(2)[0].shard.missing == (1, 3, 4)
    assert fill_shards(1)[0].computed == 0
    assert merge_caches(workspace).shards[0].missing == (3, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shard": "9/4"}, "such as 3/16"),
        ({"settled": "x"}, "is for shards"),
        ({"shard": "1/4", "group": "near-duplicates"}, "near duplicates"),
        ({"shard": "1/4", "backbone": BackboneSpec(layer="auto")}, "compares layers"),
    ],
)
def test_what_a_shard_cannot_do(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        BottleneckRequest(tmp_path, **changes)


def test_several_layers_keep_their_widths(
    fill_shards: Any, fake_backbone: FakeBackbone, workspace: Workspace
) -> None:
    """Else the next run loads the network to learn them."""
    fake_backbone.layer_widths = (12, 20)  # type: ignore[attr-defined]
    fill_shards(backbone=replace(SMALL_SPEC, layer="conv_pw_5_relu,conv_pw_13_relu"))
    merge_caches(workspace)
    (path,) = cache_files(workspace.cache_dir)
    with BottleneckStore(path) as store:
        assert store.layer_widths == (12, 20)
        assert np.isfinite(store.read(list(store.digests()))).all()


def test_numbers_in_words() -> None:
    assert in_words([1, 3, 4, 5, 9, 10]) == "1, 3-5, 9-10"
    assert in_words([]) == ""


def test_a_folder_that_is_no_shard(tmp_path: Path, workspace: Workspace) -> None:
    assert ShardRecord.load(tmp_path) is None
    with pytest.raises(ConfigError, match="neither"):
        merge_caches(workspace)
