"""What training reads: in memory, or from a file where memory does not hold it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.errors import WorkspaceError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CONFIG = TrainingConfig(steps=40, eval_every=20, batch_size=10)


def test_vectors_that_memory_does_not_hold_are_mapped(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos)
    (photos / "ant" / "copy.png").write_bytes((photos / "ant" / "0000.png").read_bytes())
    fill(photos)
    before = sorted(workspace.root.iterdir())
    held = load_training_set(workspace, CONFIG)
    mapped = load_training_set(workspace, CONFIG, memory_limit=2 * 37 * 32 * 4 - 1)
    assert isinstance(mapped.data.bottlenecks, np.memmap)
    assert not isinstance(held.data.bottlenecks, np.memmap)
    np.testing.assert_array_equal(mapped.data.bottlenecks, held.data.bottlenecks)
    assert sorted(workspace.root.iterdir()) == before


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_from_mapped_vectors_is_the_same_run(
    photos: Path, fill: Any, workspace: Workspace, optimizer: Any
) -> None:
    fill(photos)
    request = TrainRequest(replace(CONFIG, optimizer=optimizer), "held")
    held = train_run(request, workspace)
    mapped = train_run(replace(request, name="mapped", memory_limit=0), workspace)
    ours, theirs = mapped.run.head, held.run.head
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-4, atol=1e-6)
    assert dict(mapped.run.metrics) == dict(held.run.metrics)
    assert mapped.best_step == held.best_step


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is reserved on POSIX alone")
def test_a_full_disk_is_told_and_leaves_nothing(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    fill(photos)
    before = sorted(workspace.root.rglob("*"))
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WorkspaceError, match="free some space"):
        train_run(TrainRequest(CONFIG, memory_limit=0), workspace)
    assert sorted(workspace.root.rglob("*")) == before


def test_more_than_there_is_memory_is_told(
    photos: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    fill(photos)
    monkeypatch.setattr("retrain_cli.workflows.shared.training_set.BottleneckStore.read", no_memory)
    with pytest.raises(WorkspaceError, match="36 of width 32 do not: lower memory_limit"):
        load_training_set(workspace, CONFIG, memory_limit=10**15)
