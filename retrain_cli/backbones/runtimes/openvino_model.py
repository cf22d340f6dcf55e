"""A backbone that OpenVINO runs on the processor; it needs neither Keras nor TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.precisions import Precision
from retrain_cli.backbones.runtimes.kept_models import KeptModel, find_kept_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_openvino, openvino_core, quiet_engine
from retrain_cli.errors import BackboneError, WeightsError, last_reason_of, setting

_MOST_IMAGES, _MOST_SMALL_IMAGES, _SMALL = 4, 16, 128
"""Images a request at most, and of inputs up to so many pixels a side.

Measured: 4 are fastest from 160 pixels on (of 8, 0.92 to 0.97 of their speed; of 16, 0.88 to 0.91),
and 16 below, where a request takes about a millisecond (1.06 of it at 128 pixels, 1.14 at 96).
"""
_HINTS: dict[Precision, str] = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}

_handing_over = Lock()
"""OpenVINO's bindings deadlock where two threads pass their first arrays at the same time: each
waits for a table that the other one fills, and for Python's own lock (seen in 2026.4)."""


class OpenvinoBackbone:
    """A kept model, compiled for this processor; `load_backbone` makes it.

    A batch is cut into small requests that run side by side, as many as OpenVINO has streams. Any
    number of images works without another compilation. It may be called from several threads.

    Attributes:
        width: length of a bottleneck.
        layer_widths: how much of it each layer gives, where it has several side by side.
        input_size: (height, width) in pixels.
        device: "cpu:0".
        any_batch_size: yes.
        batches_at_once: calls that keep every stream busy; one alone leaves all but one of them
            idle while its last request runs.
    """

    any_batch_size = True
    batches_at_once = 2

    def __init__(
        self,
        kept: KeptModel,
        precision: Precision,
        change: Callable[[Any], Any] = lambda model: model,
    ) -> None:
        """Read and compile; `change` makes the graph that is compiled of the one that is kept."""
        openvino = load_openvino()
        with quiet_engine():
            model = change(openvino_core().read_model(kept.xml))
            hints = {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": _HINTS[precision],
            }
            compiled = openvino_core().compile_model(model, "CPU", hints)
        self._streams = int(compiled.get_property("NUM_STREAMS"))
        self._threads = ThreadPoolExecutor(self._streams + 1, "openvino")
        self._tensor = openvino.Tensor
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self._streams + 1):  # one more, so that no stream waits for Python
            self._idle.put(compiled.create_infer_request())
        height, width = list(model.input(0).partial_shape)[1:3]
        self.input_size = (height.get_length(), width.get_length())
        self._most = _MOST_SMALL_IMAGES if max(self.input_size) <= _SMALL else _MOST_IMAGES
        if model.input(0).partial_shape[0].is_static:  # a network of the user's may take one only
            self._most = 1
        self.width = int(list(model.output(0).partial_shape)[-1].get_length())
        self.layer_widths = joined_widths(model)
        self.device = "cpu:0"

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        rows = min(self._most, -(-len(images) // self._streams)) or 1
        if 0 < len(images) <= rows:  # no other thread has to be waited for
            return self._infer(images)
        starts = range(0, len(images), rows)
        parts = self._threads.map(self._infer, [images[start : start + rows] for start in starts])
        return np.concatenate([np.empty((0, self.width), np.float32), *parts])

    def _infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = self._idle.get()
        try:
            with _handing_over:
                pixels = np.ascontiguousarray(images)
                request.set_input_tensor(self._tensor(pixels, shared_memory=True))
            request.start_async()
            request.wait()
            with _handing_over:
                return np.array(request.get_output_tensor().data, np.float32)
        finally:
            self._idle.put(request)


def build_openvino_backbone(
    spec: BackboneSpec,
    models: Path | None,
    change: Callable[[Any], Any] = lambda model: model,
) -> OpenvinoBackbone:
    """Load the kept model of a settled spec; one that is gone is converted again.

    Args:
        spec: the backbone.
        models: the folder of the kept models.
        change: makes the graph that is compiled of the one that is kept.

    Raises:
        WeightsError: it is gone and cannot be made again, or it is damaged.
        BackboneError: this processor cannot compute it.
        RetrainError: as `convert_backbone`.
    """
    kept = models and find_kept_model(models, spec)
    if not kept:
        kept = _convert_again(spec, models)
    kept.check()
    try:
        return OpenvinoBackbone(kept, spec.precision, change)
    except RuntimeError as error:  # OpenVINO's own, such as of a network from another machine
        raise BackboneError(
            f"OpenVINO cannot compute {spec.label()} on this processor "
            f"({last_reason_of(error)}): choose another {setting('precision')} or "
            f"{setting('runtime', 'keras')}"
        ) from error


def _convert_again(spec: BackboneSpec, models: Path | None) -> KeptModel:
    if models is not None and spec.precision != "int8":
        from retrain_cli.backbones.runtimes.converters import convert_network

        kept = convert_network(spec, models)
        if spec.model in (None, kept.digest):
            return kept
    raise WeightsError(
        f"{spec.label()} needs the converted network {spec.model}, which is not kept in {models}: "
        "put that folder back, or run `retrain bottlenecks` and `retrain train` again"
    )


def joined_widths(model: Any) -> tuple[int, ...]:
    """Of a model whose output is several vectors side by side, the width of each.

    A network of one layer may end like this, too, in something else than layers.
    """
    last = model.output(0).node.input_value(0).get_node()
    if last.get_type_name() != "Concat":
        return (int(list(model.output(0).partial_shape)[-1].get_length()),)
    parts = [one.get_partial_shape() for one in last.input_values()]
    return tuple(int(list(shape)[-1].get_length()) for shape in parts if shape.rank.is_static)


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16."""
    core = openvino_core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
