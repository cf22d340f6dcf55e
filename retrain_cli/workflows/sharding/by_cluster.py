"""Bottlenecks by the workers of a cluster: into the cache, or straight to an answer."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrain_cli.backbones.loader import LazyBackbone
from retrain_cli.backbones.runtimes.kept_models import find_kept_model, take_over
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.trust import is_trusted
from retrain_cli.cache.cache_files import cache_files
from retrain_cli.cache.vector_parts import SUFFIX, PartRow
from retrain_cli.datasets.file_index import FolderRecord
from retrain_cli.errors import ConfigError, setting
from retrain_cli.extraction.distributed.cluster_settings import ClusterSettings
from retrain_cli.extraction.distributed.ray_extractor import RayExtractor, ray_extractor
from retrain_cli.extraction.distributed.ray_stages import ForwardJob
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.progress import Tally
from retrain_cli.extraction.scan import PendingFile
from retrain_cli.paths import StrPath, absolute
from retrain_cli.workflows.filling.opened_dataset import OpenDataset
from retrain_cli.workflows.sharding.merging import merge_caches
from retrain_cli.workspace import Workspace, writing_to


def check_cluster(request: Any) -> None:
    """Refuse what a cluster does not do, of a `BottleneckRequest`.

    Raises:
        ConfigError: there is such.
    """
    if request.cluster.is_local:
        if request.parts is not None:
            raise ConfigError(
                f"{setting('parts')} is for workers of a cluster: add {setting('engine', 'ray')}, "
                "or leave it out"
            )
        return
    for name, why in (
        ("shard", "it shares the photos out itself"),
        ("views", "it computes plain photos, and the views are computed by a run without it"),
    ):
        if getattr(request, name):
            raise ConfigError(
                f"{setting('engine', request.cluster.engine)} goes without {setting(name)}: {why}"
            )


def check_labels_by_cluster(request: Any) -> None:
    """Refuse what a cluster does not label with, of a `LabelRequest`.

    Raises:
        ConfigError: there is such.
    """
    named = [name for name in ("model", "bundle", "views") if getattr(request, name)]
    if not request.cluster.is_local and named:
        raise ConfigError(
            f"workers of a cluster compute the bottlenecks of photos for a run, and not for "
            f"{setting(named[0])}: leave that or {setting('engine')} out"
        )


def parts_folder(parts: StrPath | None, workspace: Workspace) -> Path:
    """Where workers write for a workspace: in it, or in a folder of its own in that of the user."""
    if parts is None:
        return workspace.root / "parts"
    name = hashlib.blake2b(os.fsencode(workspace.root), digest_size=6).hexdigest()
    return absolute(parts) / name


def take_left_parts(parts: StrPath | None, workspace: Workspace) -> int:
    """Take over what workers wrote for a run that has died meanwhile; returns how many parts.

    Raises:
        RetrainError: as `merge_caches`.
    """
    folder = parts_folder(parts, workspace)
    left = cache_files(folder, f"*{SUFFIX}")
    if left:
        merge_caches(workspace, left)
        with writing_to(folder):
            for path in left:
                path.unlink()
    return len(left)


def fill_by_cluster(
    opened: OpenDataset,
    backbone: LazyBackbone,
    settings: ExtractionSettings,
    cluster: ClusterSettings,
    parts: StrPath | None,
    tally: Tally,
) -> None:
    """Compute and keep what is not cached.

    Raises:
        EngineError: the cluster cannot be used, or does not get on; what came is kept.
        RetrainError: as of a worker.
    """
    used, folder = opened.used, parts_folder(parts, opened.workspace)
    models = opened.workspace.models_dir
    if parts is not None:
        models = _shipped(used.backbone, models, folder / "models")
    job = replace(
        _job(used.backbone, settings, models, opened.workspace),
        parts=folder,
        image_dir=str(used.image_dir),
        dtype=opened.store.dtype,
    )
    cached = list(opened.store.digests())
    extractor = ray_extractor(cluster, backbone, job, settings.photo_timeout, cached)
    folders = opened.index.folders(opened.dataset)

    def describe(file: PendingFile) -> PartRow:
        return _as_row(file, folders[file.folder])

    extractor.fill(
        opened.scan.pending, opened.locate, describe, opened, tally.on_photo, tally.on_written
    )


def answering_extractor(
    cluster: ClusterSettings,
    backbone: LazyBackbone,
    spec: BackboneSpec,
    settings: ExtractionSettings,
    workspace: Workspace,
) -> RayExtractor:
    """An extractor that keeps nothing."""
    job = _job(spec, settings, workspace.models_dir, workspace)
    return ray_extractor(cluster, backbone, job, settings.photo_timeout)


def _job(
    spec: BackboneSpec, settings: ExtractionSettings, models: Path, workspace: Workspace
) -> ForwardJob:
    """What sends its vectors back; to write parts takes more fields."""
    return ForwardJob(
        spec=spec,
        fingerprint=spec.fingerprint(),
        device=settings.device,
        models=models,
        trusted=is_trusted(spec, workspace),
        batch_size=settings.batch_size,
        parts=None,
        image_dir="",
    )


def _shipped(spec: BackboneSpec, models: Path, target: Path) -> Path:
    """The folder that workers see, with the converted network of a backbone in it."""
    kept = find_kept_model(models, spec) if spec.model else None
    if kept is not None:
        with writing_to(target):
            take_over(kept.folder, target)
    return target


def _as_row(file: PendingFile, folder: FolderRecord) -> PartRow:
    return PartRow(
        folder=file.folder,
        name=file.name,
        class_name=folder.class_name,
        given_split=folder.given_split,
        size=file.size,
        mtime_ns=file.mtime_ns,
        ctime_ns=file.ctime_ns,
        inode=file.inode,
        digest=None,
        problem=None,
    )
