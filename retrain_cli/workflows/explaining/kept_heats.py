"""The mean heatmaps that were made last, kept in the workspace: `check` asks for them each time."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path, PurePath

import numpy as np

from retrain_cli.errors import WorkspaceError
from retrain_cli.runs.run import Run
from retrain_cli.workflows.explaining.class_heat import ClassHeat, heats_of_run
from retrain_cli.workspace import Workspace, to_json, write_atomically

FILE = "class_heats.json"


def heats_at_the_border(
    run: Run, root: PurePath, workspace: Workspace, photo_timeout: float
) -> list[ClassHeat]:
    """The classes whose mean heatmap lies at the border, those first that do so most.

    Args:
        run: the run.
        root: the image folder.
        workspace: where the run is, and what was made last.
        photo_timeout: seconds of processor time for a photo that may take very long.

    Raises:
        RetrainError: the run cannot be explained by class activation maps.
    """
    path, key = workspace.root / FILE, _key(run, root)
    heats = _read(path, key)
    if heats is None:
        heats = heats_of_run(run, root, workspace, photo_timeout)
        with suppress(WorkspaceError):  # it may be read-only; they are made again then
            write_atomically(path, to_json({"key": key, "heats": [_row(heat) for heat in heats]}))
    found = [heat for heat in heats if heat.lies_at_the_border]
    return sorted(found, key=lambda heat: -heat.at_the_border)


def _key(run: Run, root: PurePath) -> str:
    """What they were made from: photos, backbone and head."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(run.predictions.images.digest.tobytes() + run.predictions.images.split.tobytes())
    digest.update(run.head.weights.tobytes() + run.head.bias.tobytes())
    digest.update(f"{run.info.cache}\n{root}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _row(heat: ClassHeat) -> dict[str, object]:
    grid = np.round(heat.grid, 6).tolist()
    return {"class": heat.name, "photos": heat.n_photos, "grid": grid}


def _read(path: Path, key: str) -> list[ClassHeat] | None:
    """What is kept under this key; None where that is nothing, or damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] != key:
            return None
        return [
            ClassHeat(str(row["class"]), int(row["photos"]), np.array(row["grid"], np.float64))
            for row in kept["heats"]
            if np.ndim(row["grid"]) == 2
        ]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
