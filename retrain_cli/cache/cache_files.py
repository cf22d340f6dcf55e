"""Where the cache of a backbone lies in a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrain_cli.backbones.digests import identity_fingerprint
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.images.distortions import Distortion
from retrain_cli.workspace import Workspace


def cache_path(workspace: Workspace, backbone: BackboneSpec) -> Path:
    """The cache file of a backbone.

    Its fingerprint decides, for the name tells people where a SavedModel lay when it was made.
    """
    existing = cache_file(workspace, backbone.fingerprint())
    return existing or workspace.cache_dir / f"{backbone.slug()}.sqlite"


def cache_file(workspace: Workspace, fingerprint: str) -> Path | None:
    """The cache file of a backbone's fingerprint, whatever its name begins with, or None."""
    return min(cache_files(workspace.cache_dir, f"*-{fingerprint}.sqlite"), default=None)


def views_place(
    workspace: Workspace, backbone: BackboneSpec, distortion: Distortion
) -> tuple[Path, dict[str, Any]]:
    """The cache file of distorted views beside that of the plain photos, and its identity."""
    identity = identity_of_views(backbone.identity(), distortion)
    fingerprint = identity_fingerprint(identity)
    name = f"{backbone.slug().rpartition('-')[0]}-views-{fingerprint}.sqlite"
    return cache_file(workspace, fingerprint) or workspace.cache_dir / name, identity


def identity_of_views(plain: Mapping[str, Any], distortion: Distortion) -> dict[str, Any]:
    """What is in a cache of views of photos, of whose plain ones that is the identity."""
    return {**plain, "views": distortion.identity()}


def cache_files(folder: Path, pattern: str = "*.sqlite") -> list[Path]:
    """The cache files in a folder, by name; hidden ones are what killed processes left behind."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
