"""An exported SavedModel, or Keras file, in TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.engine import load_keras, load_tensorflow, on_device, quiet_engine
from retrain_cli.errors import ExportError
from retrain_cli.exporting.description import DESCRIPTION_FILE, ExportDescription
from retrain_cli.exporting.runners.exported_model import (
    ExportedModel,
    Scores,
    saved_model_folder,
)
from retrain_cli.exporting.runners.litert_runner import archived_text

_PIXELS = "pixels"
_EXTRA = "assets.extra"


def describe_saved_model(path: Path) -> ExportDescription:
    """What a SavedModel says of itself, without running anything of it.

    Raises:
        ExportError: nothing.
    """
    place = saved_model_folder(path) / _EXTRA / DESCRIPTION_FILE
    text = place.read_text(encoding="utf-8") if place.is_file() else None
    return ExportDescription.from_json(text, path)


def open_saved_model(path: Path) -> ExportedModel:
    """Open the folder of a SavedModel: a program, which whoever calls this trusts.

    Raises:
        ExportError: it does not say what it is.
    """
    description = describe_saved_model(path)
    tensorflow = load_tensorflow()
    with tensorflow.device("cpu:0"), quiet_engine():
        loaded = tensorflow.saved_model.load(str(saved_model_folder(path)))
    pixels, usual = (loaded.signatures[name] for name in (_PIXELS, "serving_default"))
    held = [loaded]  # its weights live only as long as it does

    def scores(images: Any) -> Scores:
        return np.asarray(pixels(images=tensorflow.constant(images))["scores"], np.float32)

    def answer(photo: Any) -> Scores:
        if isinstance(photo, bytes):
            found = usual(image_bytes=tensorflow.constant([photo]))
        else:
            found = usual(images=tensorflow.constant(photo))
        return np.asarray(found["scores"], np.float32) if held else np.empty(0, np.float32)

    return ExportedModel(description, scores, answer)


def open_keras_file(path: Path) -> ExportedModel:
    """Open a `.keras` file; nothing in it is run as Python.

    Raises:
        ExportError: it does not say what it is, or is damaged.
    """
    description = ExportDescription.from_json(archived_text(path, DESCRIPTION_FILE), path)
    keras = load_keras()
    with on_device("cpu:0"), quiet_engine():
        model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    if int(model.output_shape[-1]) != len(description.labels):
        raise ExportError(f"{path} has labels for another network: export the run again")

    def run(images: Any) -> Scores:
        return np.asarray(model.predict_on_batch(np.asarray(images)), np.float32)

    return ExportedModel(description, run, run)
