"""What a cluster's workers do, run here; what is left of a run that died; what is refused."""

from __future__ import annotations

import os
import pickle
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import odd_decoders
import pytest
from helpers import PROJECT, SMALL_SPEC, FakeBackbone

from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.cache.vector_parts import PartRow, VectorPart
from retrain_cli.datasets import folders
from retrain_cli.datasets.folders import walk_folders
from retrain_cli.errors import BackboneError, ConfigError, MissingExtraError
from retrain_cli.extraction.distributed import ray_stages
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings, EngineError
from retrain_cli.extraction.distributed.ray_extractor import RayExtractor
from retrain_cli.extraction.distributed.ray_stages import (
    DecodeJob,
    ForwardJob,
    ForwardStage,
    decode_rows,
)
from retrain_cli.images.limits import limited
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.label import LabelRequest
from retrain_cli.workflows.sharding.by_cluster import parts_folder
from retrain_cli.workspace import Workspace

BY_RAY = ClusterSettings("ray")
DECODE = DecodeJob((32, 32), "squash", 20.0)


@pytest.fixture
def job(photos: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> ForwardJob:
    monkeypatch.setattr(ray_stages, "load_backbone", lambda *args, **options: FakeBackbone())
    return ForwardJob(
        spec=SMALL_SPEC.resolve(),
        fingerprint=SMALL_SPEC.fingerprint(),
        device="cpu",
        models=workspace.models_dir,
        trusted=True,
        batch_size=5,
        parts=parts_folder(None, workspace),
        image_dir=str(photos),
    )


def rows_of(photos: Path) -> dict[str, Any]:
    """The photos as they come to a decoder."""
    found = [(folder, file) for folder in walk_folders(photos) for file in folder.files]
    about = [
        PartRow(
            folder.path,
            file.name,
            folder.class_name,
            folder.given_split,
            file.size,
            file.mtime_ns,
            file.ctime_ns,
            file.inode,
            digest=None,
            problem=None,
        )
        for folder, file in found
    ]
    paths = [str(photos / folder.path / file.name) for folder, file in found]
    return {
        "place": np.arange(len(found)),
        "location": [pickle.dumps(path) for path in paths],
        "about": [pickle.dumps(row) for row in about],
    }


def test_parts_of_a_run_that_died_are_taken_over(
    photos: Path, fill: Any, job: ForwardJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left to do, so no cluster is asked for."""
    monkeypatch.setattr(folders, "_CLOCK_TICK_NS", -(10**12))  # the photos are not just made
    (photos / "ant" / "bad.jpg").write_bytes(b"no image")
    rows = {name: values[:-1] for name, values in rows_of(photos).items()}
    (photos / "teapot" / "0011.png").unlink()
    assert job.parts is not None
    job.parts.mkdir(parents=True)
    decoded = decode_rows(rows, DECODE)
    (first,) = ForwardStage(job)(decoded)["part"]
    assert ForwardStage(job)(decoded)["part"] == [first]  # again after a death: the same file
    (photos / "ant" / "bad.jpg").unlink()
    summary = fill(photos, cluster=BY_RAY)
    assert (summary.found, summary.cached, summary.computed) == (35, 35, 0)
    assert list(job.parts.iterdir()) == []


def test_parts_are_of_the_dtype_of_the_cache(
    photos: Path,
    fill: Any,
    job: ForwardJob,
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is rounded by a worker is what a run here rounds."""
    monkeypatch.setattr(folders, "_CLOCK_TICK_NS", -(10**12))  # the photos are not just made
    half = replace(job, dtype="float16")
    assert half.parts is not None
    half.parts.mkdir(parents=True)
    (name,) = ForwardStage(half)(decode_rows(rows_of(photos), DECODE))["part"]
    with closing(VectorPart(half.parts / name)) as part:
        assert part.dtype == "float16"
    fill(photos, cluster=BY_RAY, cache_dtype="float16")  # takes it over; no cluster is asked for
    (ours,) = cache_files(workspace.cache_dir)
    other = Workspace(workspace.root.with_name("other"))
    request = BottleneckRequest(photos, SMALL_SPEC, cache_dtype="float16")
    fill_cache(request, other, load=lambda spec, device: FakeBackbone())
    (theirs,) = cache_files(other.cache_dir)
    with BottleneckStore(ours) as one, BottleneckStore(theirs) as another:
        assert one.dtype == another.dtype == "float16"
        assert sorted(one.scan()) == sorted(another.scan())


def test_vectors_are_those_of_a_run_here(photos: Path, fill: Any, job: ForwardJob) -> None:
    answer = ForwardStage(replace(job, parts=None))(decode_rows(rows_of(photos), DECODE))
    with BottleneckStore(fill(photos).cache_path) as store:
        here = store.read([bytes(digest) for digest in answer["digest"]])
    np.testing.assert_array_equal(answer["vector"], here)


def test_a_photo_that_kills_its_decoder_is_a_bad_one(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = PROJECT / "tests"
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, [tests / "poisoned", tests])))
    process = limited.DecodingProcess()
    monkeypatch.setattr(limited, "call", process.call)
    for name in ("ant/0003.png", "ant/0004.png", "teapot/0011.png"):
        odd_decoders.poison(photos / name)
    try:
        decoded = decode_rows(rows_of(photos), DECODE)
    finally:
        process.end()
    bad = [place for place, problem in enumerate(decoded["problem"]) if problem]
    assert bad == [3, 4, 35]
    assert {decoded["problem"][place] for place in bad} == {"its decoder crashed (SIGSEGV)"}
    assert decoded["has_pixels"].sum() == 33


def test_images_that_are_cached_are_not_decoded(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(photos)
    digests = [bytes(one) for one in decode_rows(rows, DECODE)["digest"]]

    class Ray:
        """As `ray.get` of what is kept."""

        get = staticmethod(lambda kept: kept)

    monkeypatch.setitem(sys.modules, "ray", Ray)
    known = ray_stages.short_digests(digests[:10])
    again = decode_rows(rows, DecodeJob(DECODE.size, DECODE.rule, DECODE.timeout, known))
    assert again["has_pixels"].tolist() == [False] * 10 + [True] * 26
    assert [bytes(one) for one in again["digest"]] == digests


def test_a_worker_with_other_weights(job: ForwardJob) -> None:
    with pytest.raises(BackboneError, match="other weights"):
        ForwardStage(replace(job, fingerprint="0" * 12))


def test_a_part_that_is_not_seen_here(job: ForwardJob, tmp_path: Path) -> None:
    extractor = RayExtractor(BY_RAY, job, DECODE)
    with pytest.raises(EngineError, match="a disk that all share with parts"):
        extractor._taken(tmp_path / "part.parquet", {})


def test_without_ray(photos: Path, fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"retrain-cli\[ray\]"):
        fill(photos, cluster=BY_RAY)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": "x"}, "parts is for workers"),
        ({"cluster": BY_RAY, "shard": "1/4"}, "without shard"),
        ({"cluster": BY_RAY, "views": 2}, "without views"),
    ],
)
def test_what_a_cluster_does_not_do(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        BottleneckRequest(tmp_path, **changes)


@pytest.mark.parametrize("changes", [{"model": "m.onnx"}, {"bundle": "b"}, {"views": 2}])
def test_what_a_cluster_does_not_label_with(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="leave that or engine out"):
        LabelRequest(cluster=BY_RAY, **changes)


def test_workspaces_that_share_a_folder_of_parts_do_not_meet(tmp_path: Path) -> None:
    one, other = Workspace(tmp_path / "a"), Workspace(tmp_path / "b")
    assert parts_folder(tmp_path, one) != parts_folder(tmp_path, other)
    assert parts_folder(None, one) == one.root / "parts"
