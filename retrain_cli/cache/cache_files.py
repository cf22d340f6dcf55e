"""Where the cache of a backbone lies in a workspace."""

from __future__ import annotations

from pathlib import Path

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.workspace import Workspace


def cache_path(workspace: Workspace, backbone: BackboneSpec) -> Path:
    """The cache file of a backbone.

    Its fingerprint decides, for the name tells people where a SavedModel lay when it was made.
    """
    existing = cache_file(workspace, backbone.fingerprint())
    return existing or workspace.cache_dir / f"{backbone.slug()}.sqlite"


def cache_file(workspace: Workspace, fingerprint: str) -> Path | None:
    """The cache file of a backbone's fingerprint, whatever its name begins with, or None."""
    return min(workspace.cache_dir.glob(f"*-{fingerprint}.sqlite"), default=None)
