"""`--cache-dtype float16` from the extraction to the head, alone, in shards and by parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import run_here
from helpers import SMALL_SPEC, FakeBackbone, make_photos

from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.vector_rows import CACHE_DTYPES, CacheDtype
from retrain_cli.errors import CacheError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.cache import list_caches, verify_caches
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace


def vectors(workspace: Workspace) -> np.ndarray:
    return load_training_set(workspace, TrainingConfig()).data.bottlenecks


def rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)


def test_a_cache_of_float16_holds_what_float32_would_rounded(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path, fake_backbone: FakeBackbone
) -> None:
    request = BottleneckRequest(photos, SMALL_SPEC, cache_dtype="float16")
    plan = plan_bottlenecks(replace(request, cache_dtype=None), workspace)
    halved = plan_bottlenecks(request, workspace)
    assert (plan.cache_dtype, halved.cache_dtype) == ("float32", "float16")
    assert (plan.disk_bytes or 0) == pytest.approx(2 * (halved.disk_bytes or 0), abs=1)
    fill(photos, cache_dtype="float16")
    full = Workspace(tmp_path / "full")
    fill_cache(replace(request, cache_dtype=None), full, load=lambda spec, device: fake_backbone)
    np.testing.assert_array_equal(vectors(workspace), rounded(vectors(full)))
    assert [info.dtype for info in list_caches(workspace)] == ["float16"]
    assert not verify_caches(workspace)[0].damaged


def test_the_cache_remembers_and_the_run_tells(
    photos: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    fill(photos, cache_dtype="float16")
    make_photos(photos, {"cat": 5}, seed=9)
    assert fill(photos).computed == 5
    assert [info.dtype for info in list_caches(workspace)] == ["float16"]
    made = train_run(TrainRequest(TrainingConfig(steps=5)), workspace).run.info.provenance
    (step, *_) = made.commands("again", calibrated=False).steps
    assert step.arguments[-2:] == ("--cache-dtype", "float16")
    with pytest.raises(CacheError, match="what rounding took is gone"):
        fill(photos, cache_dtype="float32")


def test_a_cache_of_float32_is_rounded_and_nothing_is_computed_again(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    before = vectors(workspace)
    make_photos(photos, {"ant": 14})  # two more
    plan_bottlenecks(BottleneckRequest(photos, SMALL_SPEC, cache_dtype="float16"), workspace)
    assert [info.dtype for info in list_caches(workspace)] == ["float32"]  # it was a plan
    with pytest.warns(UserWarning, match=r"36 bottlenecks of .* were rounded to float16, for good"):
        assert fill(photos, cache_dtype="float16").computed == 2
    assert fill(photos, cache_dtype="float16").computed == 0
    after = {row.tobytes() for row in vectors(workspace)}
    assert {row.tobytes() for row in rounded(before)} <= after


@pytest.mark.parametrize("dtypes", [CACHE_DTYPES, CACHE_DTYPES[::-1]])
def test_shards_of_either_come_together(
    photos: Path,
    fill: Any,
    workspace: Workspace,
    tmp_path: Path,
    fake_backbone: FakeBackbone,
    dtypes: tuple[CacheDtype, ...],
) -> None:
    for number, dtype in enumerate(dtypes, start=1):
        request = BottleneckRequest(photos, SMALL_SPEC, shard=f"{number}/2", cache_dtype=dtype)
        fill_cache(request, workspace, load=lambda spec, device: fake_backbone)
    merge_caches(workspace)
    assert [info.dtype for info in list_caches(workspace)] == ["float16"]
    assert fill(photos).computed == 0
    (ours,) = cache_files(workspace.cache_dir)
    other = Workspace(tmp_path / "other")
    fill_cache(
        BottleneckRequest(photos, SMALL_SPEC), other, load=lambda spec, device: fake_backbone
    )
    with pytest.raises(CacheError, match=r"keeps float32.*cache_dtype='float16' first"):
        merge_caches(other, ours)


def test_the_commands_tell_it(
    photos: Path, fill: Any, workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(photos, cache_dtype="float16")
    root = ["--workspace", str(workspace.root)]
    shown = run_here([*root, "cache", "info"], capfd)
    assert "float16 rows" in shown.out
    assert run_here([*root, "cache", "info", "--json"], capfd).json[0]["dtype"] == "float16"
    wrong = run_here([*root, "bottlenecks", str(photos), "--cache-dtype", "half"], capfd)
    assert "float32" in wrong.refused(2)
