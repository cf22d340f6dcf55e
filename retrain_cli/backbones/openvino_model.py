"""A backbone that OpenVINO runs on the processor; it needs neither Keras nor TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.kept_models import KeptModel, find_kept_model
from retrain_cli.backbones.precisions import Precision
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_openvino, quiet_engine
from retrain_cli.errors import WeightsError

_MOST_IMAGES = 4
"""Images a request at most: measured, larger ones are no faster, and smaller ones share better."""
_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}


class OpenvinoBackbone:
    """A kept model, compiled for this processor; `load_backbone` makes it.

    A batch is cut into small requests that run side by side, as many as OpenVINO has streams. Any
    number of images works without another compilation.

    Attributes:
        width: length of a bottleneck.
        input_size: (height, width) in pixels.
        device: "cpu:0".
    """

    def __init__(self, kept: KeptModel, precision: Precision) -> None:
        openvino = load_openvino()
        with quiet_engine():
            model = openvino.Core().read_model(kept.xml)
            hints = {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
            }
            compiled = openvino.Core().compile_model(model, "CPU", hints)
            self._queue = openvino.AsyncInferQueue(compiled)
        self._queue.set_callback(_keep_result)
        self._streams = int(compiled.get_property("NUM_STREAMS"))
        height, width = list(model.input(0).partial_shape)[1:3]
        self.input_size = (height.get_length(), width.get_length())
        self.width = int(list(model.output(0).partial_shape)[-1].get_length())
        self.device = "cpu:0"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        vectors = np.empty((len(images), self.width), np.float32)
        rows = min(_MOST_IMAGES, -(-len(images) // self._streams)) or 1
        for start in range(0, len(images), rows):
            part = images[start : start + rows]
            self._queue.start_async([part], (vectors, start), share_inputs=True)
        self._queue.wait_all()
        return vectors


def _keep_result(request: Any, place: tuple[NDArray[np.float32], int]) -> None:
    vectors, start = place
    result = request.get_output_tensor().data
    vectors[start : start + len(result)] = result


def build_openvino_backbone(spec: BackboneSpec, models: Path | None) -> OpenvinoBackbone:
    """Load the kept model of a settled spec; one that is gone is converted again.

    Raises:
        WeightsError: it is gone and cannot be made again, or it is damaged.
        RetrainError: as `convert_backbone`.
    """
    kept = models and find_kept_model(models, spec)
    if not kept:
        kept = _convert_again(spec, models)
    kept.check()
    return OpenvinoBackbone(kept, spec.precision)


def _convert_again(spec: BackboneSpec, models: Path | None) -> KeptModel:
    if models is not None and spec.precision != "int8":
        from retrain_cli.backbones.conversion import convert_backbone

        kept = convert_backbone(spec, models)
        if spec.model in (None, kept.digest):
            return kept
    raise WeightsError(
        f"{spec.label()} needs the converted network {spec.model}, which is not kept in {models}: "
        "put that folder back, or run `retrain bottlenecks` and `retrain train` again"
    )


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16."""
    core = load_openvino().Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
