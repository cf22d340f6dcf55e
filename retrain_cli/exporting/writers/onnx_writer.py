"""An ONNX file: scores and the best label of 8-bit RGB pixels, with the labels in its metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import load_keras
from retrain_cli.errors import MissingExtraError
from retrain_cli.exporting.description import KEY, ExportDescription
from retrain_cli.exporting.writers.export_parts import ExportParts, writing_format
from retrain_cli.exporting.writers.onnx_resizing import take_any_size

OPSET = 18
"""The first in which `Resize` can be antialiased."""


def load_onnx() -> Any:
    """The packages that write ONNX files, of which this gives the one that edits them.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    try:
        import onnx
        import tf2onnx  # noqa: F401 - Keras calls it
    except ImportError as error:
        raise MissingExtraError("ONNX files", "export") from error
    return onnx


def write_onnx(parts: ExportParts, path: Path) -> None:
    """Write an `.onnx` file.

    Raises:
        MissingExtraError: a package for it is not installed.
        ExportError: it cannot be converted.
        OSError: the disk cannot be written.
    """
    onnx = load_onnx()
    described = parts.description
    bare = path.with_name("bare.onnx")
    try:
        with writing_format("an ONNX file"):
            _convert(parts.model, described.size, bare)
            if described.precision == "int8":
                _quantise(bare, parts)
            model = onnx.load(str(bare))
            _rename(model)
            if described.precision == "float16":
                model = _halved(model)
            _add_label(onnx, model, described.labels)
            if described.input == "any-size":
                take_any_size(onnx, model, described.size, described.resize)
            _describe(onnx, model, described)
            onnx.checker.check_model(model)
            onnx.save(model, str(path))
    finally:
        bare.unlink(missing_ok=True)


def _convert(model: Any, size: tuple[int, int], path: Path) -> None:
    """Keras's own export; a model has to be called once before it."""
    load_keras()
    model(np.zeros((1, *size, 3), np.uint8), training=False)
    model.export(str(path), format="onnx", verbose=False, opset_version=OPSET)


def _quantise(path: Path, parts: ExportParts) -> None:
    """Weights and activations in 8 bits, with a scale for each channel of a convolution.

    One scale for all channels of depthwise convolutions ruins the accuracy, and so does a
    normalisation that is not folded into them, or a signed weight on processors whose sums of 16
    bits overflow. The scores stay float32: 256 steps are too few for calibrated ones.
    """
    try:
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingExtraError("ONNX files in 8 bits", "export") from error
    import onnx

    quant_pre_process(str(path), str(path), skip_symbolic_shape=True)
    nodes = onnx.load(str(path)).graph.node
    quantization.quantize_static(
        str(path),
        str(path),
        _Samples(nodes, parts.calibration()),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        weight_type=quantization.QuantType.QUInt8,
        activation_type=quantization.QuantType.QUInt8,
        nodes_to_exclude=[node.name for node in nodes if node.op_type == "Softmax"],
    )


class _Samples:
    """Photos one by one, as ONNX Runtime's quantisation asks for them.

    Args:
        nodes: of the graph that they are for.
        photos: `(height, width, 3) uint8` each.
    """

    def __init__(self, nodes: Any, photos: Any) -> None:
        made = {name for node in nodes for name in node.output}
        used = [name for node in nodes for name in node.input]
        self._name = next(name for name in used if name.startswith("images") and name not in made)
        self._photos: Iterator[NDArray[np.uint8]] = iter(photos)

    def get_next(self) -> dict[str, Any] | None:
        """The next photo as a batch; None behind the last."""
        photo = next(self._photos, None)
        return None if photo is None else {self._name: photo[np.newaxis]}

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> dict[str, Any]:
        found = self.get_next()
        if found is None:
            raise StopIteration
        return found

    def __len__(self) -> int:
        return 0

    def set_range(self, start_index: int, end_index: int) -> None:
        """Part of the interface; all photos are taken in one go."""


def _rename(model: Any) -> None:
    """Call the input `images` and the output `scores`, for any number of images."""
    graph = model.graph
    names = {graph.input[0].name: "images", graph.output[0].name: "scores"}
    for value in (graph.input[0], graph.output[0]):
        value.name = names[value.name]
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    del graph.value_info[:]  # of some shapes the converter has made up names


def _halved(model: Any) -> Any:
    """Weights and sums in 16 bits; pixels stay uint8, scores float32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=False)


def _add_label(onnx: Any, model: Any, labels: tuple[str, ...]) -> None:
    """A second output: the label of the best score."""
    helper, kind = onnx.helper, onnx.TensorProto
    names = [label.encode("utf-8", "backslashreplace") for label in labels]
    graph = model.graph
    graph.initializer.append(helper.make_tensor("retrain_labels", kind.STRING, [len(names)], names))
    best = helper.make_node("ArgMax", ["scores"], ["retrain_best"], axis=1, keepdims=0)
    chosen = helper.make_node("Gather", ["retrain_labels", "retrain_best"], ["label"], axis=0)
    graph.node.extend([best, chosen])
    graph.output.append(helper.make_tensor_value_info("label", kind.STRING, ["batch"]))


def _describe(onnx: Any, model: Any, described: ExportDescription) -> None:
    model.producer_name, model.producer_version = "retrain", described.version
    model.doc_string = f"run {described.run}: {described.backbone}"
    model.graph.name = "retrain"
    # Ultralytics' readers look for `names` and `imgsz`.
    names = {str(number): label for number, label in enumerate(described.labels)}
    texts = {
        KEY: described.to_json(),
        "labels": json.dumps([*described.labels]),
        "names": json.dumps(names),
        "imgsz": json.dumps([described.height, described.width]),
        "task": "classify",
    }
    onnx.helper.set_model_props(model, texts)
