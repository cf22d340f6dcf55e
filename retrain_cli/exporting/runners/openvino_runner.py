"""An exported OpenVINO model: no TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.engine import openvino_core, quiet_engine
from retrain_cli.exporting.description import KEY, ExportDescription
from retrain_cli.exporting.runners.exported_model import ExportedModel, Scores


def open_openvino(path: Path) -> ExportedModel:
    """Open the folder, or the `.xml` file, of an OpenVINO model.

    Raises:
        ConfigError: OpenVINO does not run here.
        ExportError: the model does not say what it is.
    """
    core = openvino_core()
    xml = path / "model.xml" if path.is_dir() else path
    with quiet_engine():
        model = core.read_model(str(xml))
        text = model.get_rt_info([KEY]).astype(str) if model.has_rt_info([KEY]) else None
        description = ExportDescription.from_json(text, path)
        # Without this hint newer processors compute in bfloat16, and scores differ.
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    request = compiled.create_infer_request()
    takes_one = model.input(0).partial_shape[0].is_static  # some networks of users do

    def run(images: Any) -> Scores:
        pixels = np.ascontiguousarray(images)
        parts = [pixels[row : row + 1] for row in range(len(pixels))] if takes_one else [pixels]
        found = [np.array(request.infer({"images": one})["scores"], np.float32) for one in parts]
        return np.concatenate(found)

    return ExportedModel(description, run, run)
