"""Converted networks that nothing here uses any more: part of `retrain cache gc`."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.store import open_to_read
from retrain_cli.errors import RetrainError
from retrain_cli.files import read_file
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


@dataclass(frozen=True, slots=True)
class UnusedModel:
    """A converted network that no cache and no run needs.

    Attributes:
        name: of its folder in `cache/models`.
        bytes: size on disk.
    """

    name: str
    bytes: int


def remove_unused_models(workspace: Workspace, *, dry_run: bool = False) -> list[UnusedModel]:
    """Remove converted networks that no cache, no run and not the backbone last used needs.

    What an interrupted conversion left behind goes, too.

    Raises:
        RetrainError: a cache cannot be read, so that it is not known what it needs.
    """
    if not workspace.models_dir.is_dir():
        return []
    with workspace.lock("cache gc"):
        used, settings = _digests_in_use(workspace), _damaged_settings(workspace)
        unused = [
            folder
            for folder in sorted(workspace.models_dir.iterdir())
            if folder.is_dir()
            and (digest := folder.name.rpartition("-")[2]) not in used
            and not any(digest.encode() in text for text in settings)
        ]
        found = [UnusedModel(folder.name, _size(folder)) for folder in unused]
        if not dry_run:
            for folder in unused:
                shutil.rmtree(folder)
        return found


def _digests_in_use(workspace: Workspace) -> set[str | None]:
    digests: set[str | None] = set()
    for path in cache_files(workspace.cache_dir):
        with open_to_read(path) as store:
            digests.add(store.identity.get("model"))
    for run in RunStore(workspace.runs_dir).readable():
        digests.add(run.info.backbone.model)
    with suppress(RetrainError):  # nothing was used yet
        digests.add(LastUsed.load(workspace).backbone.model)
    return digests


def _damaged_settings(workspace: Workspace) -> list[bytes]:
    """What is left of settings that cannot be read: a digest of a network may stand in it."""
    store = RunStore(workspace.runs_dir)
    known = {run.name for run in store.readable()}
    texts = []
    for run in store.list():
        if run.name not in known:
            with suppress(OSError):
                texts.append(read_file(run.folder / "config.json"))
    return texts


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
