"""An exported ONNX file in ONNX Runtime: no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import quiet_engine
from retrain_cli.errors import MissingExtraError
from retrain_cli.exporting.description import KEY, ExportDescription
from retrain_cli.exporting.runners.exported_model import WEB_MODEL, ExportedModel, Scores

_FATAL_ONLY = 4


def open_onnx(path: Path) -> ExportedModel:
    """Open an ONNX file.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ExportError: the file does not say what it is.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("ONNX files", "export") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    with quiet_engine():
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    known = session.get_modelmeta().custom_metadata_map
    description = ExportDescription.from_json(known.get(KEY), path)

    def run(images: Any) -> Scores:
        pixels: NDArray[np.uint8] = np.ascontiguousarray(images)
        return np.asarray(session.run(["scores"], {"images": pixels})[0], np.float32)

    return ExportedModel(description, run, run)


def open_web(folder: Path) -> ExportedModel:
    """Open the network of a web page.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
        ExportError: the file does not say what it is.
    """
    return open_onnx(folder / WEB_MODEL)
