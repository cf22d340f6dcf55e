"""`retrain cache gc` removes converted networks that nothing needs, and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC

from retrain_cli.backbones.runtimes.kept_models import BIN, XML, keep_model
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError
from retrain_cli.workflows.shared.unused_models import remove_unused_models
from retrain_cli.workspace import Workspace


def keep(workspace: Workspace, content: bytes) -> Any:
    def write(folder: Any) -> None:
        (folder / XML).write_bytes(content + b"\t<rt_info>")
        (folder / BIN).write_bytes(b"weights")

    return keep_model(workspace.models_dir, SMALL_SPEC.resolve(), write)


def test_only_what_nothing_uses_goes(workspace: Workspace) -> None:
    workspace.prepare()
    used, unused = keep(workspace, b"used"), keep(workspace, b"unused")
    (workspace.models_dir / ".draft-left-behind").mkdir()
    identity = replace(SMALL_SPEC.resolve(), runtime="openvino", model=used.digest).identity()
    BottleneckStore(workspace.cache_dir / "some.sqlite", identity).close()
    found = remove_unused_models(workspace, dry_run=True)
    assert {model.name for model in found} == {unused.folder.name, ".draft-left-behind"}
    assert {model.bytes for model in found} == {0, len(b"unused\t<rt_info>" + b"weights")}
    assert unused.folder.exists()
    assert remove_unused_models(workspace) == found
    assert [path.name for path in workspace.models_dir.iterdir()] == [used.folder.name]


def test_the_network_of_a_run_stays(
    workspace: Workspace, photos: Path, fill: Any, tmp_path: Path
) -> None:
    from retrain_cli.heads.config import TrainingConfig
    from retrain_cli.workflows.train import TrainRequest, train_run

    fill(photos)
    kept = keep(workspace, b"of a run")
    train_run(TrainRequest(TrainingConfig(steps=5, learning_rate=0.1)), workspace)
    (config,) = workspace.runs_dir.glob("*/config.json")
    text = config.read_text(encoding="utf-8")
    assert '"model": null' in text
    config.write_text(text.replace('"model": null', f'"model": "{kept.digest}"'), encoding="utf-8")
    assert remove_unused_models(workspace) == []


def test_a_cache_that_cannot_be_read_keeps_everything(workspace: Workspace) -> None:
    workspace.prepare()
    kept = keep(workspace, b"whose?")
    (workspace.cache_dir / "damaged.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CacheError):
        remove_unused_models(workspace)
    assert kept.folder.exists()


def test_no_models_no_work(workspace: Workspace) -> None:
    assert remove_unused_models(workspace) == []
