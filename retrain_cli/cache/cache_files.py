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
    return min(cache_files(workspace.cache_dir, f"*-{fingerprint}.sqlite"), default=None)


def cache_files(folder: Path, pattern: str = "*.sqlite") -> list[Path]:
    """The cache files in a folder, by name; hidden ones are what killed processes left behind."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
