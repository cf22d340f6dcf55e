"""An exported LiteRT file in LiteRT: no TensorFlow."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.engine import quiet_engine
from retrain_cli.errors import MissingExtraError
from retrain_cli.exporting.description import DESCRIPTION_FILE, ExportDescription
from retrain_cli.exporting.runners.exported_model import ExportedModel, Scores
from retrain_cli.files import read_file

_MOST_BYTES = 4 << 30


def open_litert(path: Path) -> ExportedModel:
    """Open a `.tflite` file.

    Raises:
        MissingExtraError: LiteRT is not installed.
        ExportError: the file does not say what it is.
    """
    try:
        with quiet_engine():
            from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtraError("LiteRT files", "export") from error
    description = ExportDescription.from_json(archived_text(path, DESCRIPTION_FILE), path)
    content = read_file(path, _MOST_BYTES)
    with quiet_engine():
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(images: Any) -> Scores:
        found = []
        for image in images:  # files for phones take one at a time
            interpreter.set_tensor(place, np.ascontiguousarray(image[np.newaxis]))
            interpreter.invoke()
            found.append(np.array(interpreter.get_tensor(result)[0], np.float32))
        return np.stack(found)

    return ExportedModel(description, run, run)


def archived_text(path: Path, name: str) -> str | None:
    """A text in a file that is a ZIP archive, too; None where there is no such thing."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name).decode("utf-8")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError):
        return None
