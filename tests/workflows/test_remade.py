"""What is only remembered of photos can be damaged: it is found, moved aside and made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrain_cli.errors import DamagedFileError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.similarity.photo_facts import PhotoFacts
from retrain_cli.workflows.cache import verify_caches
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

SHORT = TrainingConfig(steps=3, eval_every=3)


def harm(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "no database":
        content = bytearray(b"nothing of the kind")
    elif how == "cut":
        del content[5000:]
    elif how == "empty":
        content.clear()
    else:
        content[4096:] = b"\xff" * (len(content) - 4096)
    for side in ("-wal", "-shm"):
        path.with_name(path.name + side).unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["no database", "cut", "pages"])
def test_looks_are_taken_again(how: str, photos: Path, fill: Any, workspace: Workspace) -> None:
    fill(photos)
    request = CheckRequest(labels=False)
    before = check_dataset(request, workspace)
    harm(workspace.photos_path, how)
    with pytest.raises(DamagedFileError, match="verify --repair"):
        check_dataset(request, workspace)
    assert [check.unrepaired for check in verify_caches(workspace)] == [False, True]
    *_, repaired = verify_caches(workspace, repair=True)
    assert repaired.name == "photos" and repaired.salvaged is not None
    assert repaired.salvaged.kept_as.is_file()
    after = check_dataset(request, workspace)
    assert (after.odd, after.duplicates) == (before.odd, before.duplicates)
    assert len(verify_caches(workspace)) == 1


def test_groups_are_never_taken_apart_in_silence(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    fill(photos, group="near-duplicates")
    harm(workspace.photos_path, "pages")
    verify_caches(workspace, repair=True)
    for _ in range(2):
        with pytest.raises(DatasetError, match="--group"):
            train_run(TrainRequest(SHORT), workspace)
        PhotoFacts(workspace.photos_path).close()  # as a look at another folder makes it
    fill(photos, group="near-duplicates")
    assert train_run(TrainRequest(SHORT), workspace).run.labels
