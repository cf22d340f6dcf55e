"""What somebody removes or replaces while a command fills it is told, and not counted as kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import FakeBackbone

from retrain_cli.errors import CacheError, RetrainError
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


def remove_cache(workspace: Workspace) -> None:
    shutil.rmtree(workspace.cache_dir)


def replace_cache(workspace: Workspace) -> None:
    (path,) = workspace.cache_dir.glob("*.sqlite")
    path.rename(path.with_suffix(".away"))
    shutil.copy(path.with_suffix(".away"), path)


def remove_index(workspace: Workspace) -> None:
    workspace.index_path.unlink()


def remove_all(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root)


@pytest.mark.parametrize("act", [remove_cache, replace_cache, remove_index, remove_all])
def test_a_run_whose_cache_is_removed_says_so(
    act: Callable[[Workspace], None], fill: Any, photos: Path, workspace: Workspace
) -> None:
    done: list[bool] = []

    def on_progress(counts: Any) -> None:
        if counts.done >= 8 and not done:
            done.append(True)
            act(workspace)

    with pytest.raises(RetrainError) as refused:
        fill(photos, on_progress=on_progress)
    assert "removed or replaced" in str(refused.value) or isinstance(refused.value, CacheError)
    if workspace.state_path.exists():
        assert not LastUsed.load(workspace).complete


def test_the_next_run_computes_it_again(
    fill: Any, photos: Path, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    test_a_run_whose_cache_is_removed_says_so(remove_cache, fill, photos, workspace)
    before = fake_backbone.images_seen
    summary = fill(photos)
    assert (summary.found, summary.computed) == (36, 36)
    assert fake_backbone.images_seen > before
