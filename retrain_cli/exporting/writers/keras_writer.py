"""A Keras file (.keras): layers and weights, with what retrain says of it beside them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from retrain_cli.exporting.description import DESCRIPTION_FILE, LABELS_FILE
from retrain_cli.exporting.writers.export_parts import ExportParts, writing_format


def write_keras(parts: ExportParts, path: Path) -> None:
    """Write a `.keras` file.

    Raises:
        ExportError: Keras cannot.
        OSError: the disk cannot be written.
    """
    with writing_format("a Keras file"):
        parts.model.save(str(path))
    labels = "".join(f"{label}\n" for label in parts.description.labels)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(DESCRIPTION_FILE, parts.description.to_json() + "\n")
        archive.writestr(LABELS_FILE, labels.encode("utf-8", "backslashreplace"))
