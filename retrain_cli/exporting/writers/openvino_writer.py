"""An OpenVINO model (.xml and .bin), with the labels where OpenVINO's Model API looks for them."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.backbones.runtimes.conversion import traced_model
from retrain_cli.backbones.runtimes.quantisation import check_installed, quantised_model
from retrain_cli.engine import load_openvino
from retrain_cli.exporting.description import KEY, ExportDescription
from retrain_cli.exporting.writers.export_parts import ExportParts, writing_format
from retrain_cli.images.resizing import LETTERBOX_GREY

MODEL_XML = "model.xml"


def write_openvino(parts: ExportParts, path: Path) -> None:
    """Write a folder with `model.xml` and `model.bin`.

    Raises:
        MissingExtraError: int8, and NNCF is not installed.
        ExportError: OpenVINO does not take the network.
        OSError: the disk cannot be written.
    """
    described = parts.description
    if described.precision == "int8":
        check_installed()
    with writing_format("an OpenVINO model"):
        openvino = load_openvino()
        model = parts.model
        if not parts.is_openvino:
            model = traced_model(model, described.size)
        if described.precision == "int8":
            with redirect_stdout(io.StringIO()):  # NNCF draws bars on stdout
                model = quantised_model(model, parts.calibration(), described.run)
        model.output(0).get_tensor().set_names({"scores"})
        if described.input == "any-size":
            model = _with_resizing(openvino, model, described.size, described.resize)
        model.input(0).get_tensor().set_names({"images"})
        _describe(model, described)
        path.mkdir()
        half = described.precision == "float16"
        openvino.save_model(model, str(path / MODEL_XML), compress_to_fp16=half)


def _describe(model: Any, described: ExportDescription) -> None:
    names = " ".join(label.replace(" ", "_") for label in described.labels)
    model.set_friendly_name("retrain")
    for key, text in (("model_type", "Classification"), ("labels", names)):
        model.set_rt_info(text.encode("utf-8", "replace").decode(), ["model_info", key])
    model.set_rt_info(described.to_json(), [KEY])


def _with_resizing(openvino: Any, model: Any, size: tuple[int, int], rule: str) -> Any:
    """The model behind the resize rule, whose filter is that of Pillow here, too."""
    from openvino import opset13 as ops

    images = ops.parameter([-1, -1, -1, 3], np.uint8, name="images")
    planes = ops.transpose(ops.convert(images, "f32"), np.array([0, 3, 1, 2]))
    name, *details = rule.split()
    shape = ops.convert(ops.shape_of(planes, "i64"), "f32")
    extent = ops.gather(shape, np.array([2, 3]), np.int64(0))
    goal = np.array(size, np.float32)
    inner: Any = np.array(size, np.int64)
    if name == "crop":
        planes = _cropped(ops, planes, extent, goal, float(details[0]) if details else 1.0)
    elif name == "letterbox":
        scale = ops.reduce_min(ops.divide(goal, extent), np.array([0]), keep_dims=True)
        wanted = ops.round(ops.multiply(extent, scale), "half_to_even")
        inner = ops.convert(ops.maximum(wanted, np.float32(1)), "i64")
    small = ops.interpolate(
        planes,
        inner,
        "bicubic_pillow" if "bicubic" in details else "bilinear_pillow",
        "sizes",
        antialias=True,
        axes=np.array([2, 3], np.int64),
    )
    small = ops.clamp(ops.round(small, "half_to_even"), 0.0, 255.0)
    if name == "letterbox":
        left_over = ops.subtract(np.array(size, np.int64), inner)
        before = ops.divide(left_over, np.int64(2))
        none = np.zeros(2, np.int64)
        begin = ops.concat([ops.constant(none), before], 0)
        end = ops.concat([ops.constant(none), ops.subtract(left_over, before)], 0)
        small = ops.pad(small, begin, end, "constant", np.float32(LETTERBOX_GREY))
    pixels = ops.convert(ops.transpose(small, np.array([0, 2, 3, 1])), "u8")
    pixels = ops.reshape(pixels, np.array([-1, *size, 3]), False)
    inside = model.get_parameters()[0]
    for target in list(inside.output(0).get_target_inputs()):
        target.replace_source_output(pixels.output(0))
    return openvino.Model(model.get_results(), [images], "retrain")


def _cropped(ops: Any, planes: Any, extent: Any, goal: Any, share: float) -> Any:
    """The centre, on whole pixels."""
    ratio = ops.reduce_min(ops.divide(extent, goal), np.array([0]), keep_dims=True)
    box = ops.multiply(ops.multiply(goal, ratio), np.float32(share))
    room = ops.divide(ops.subtract(extent, box), np.float32(2))
    start = ops.convert(ops.round(room, "half_to_even"), "i64")
    length = ops.convert(ops.round(box, "half_to_even"), "i64")
    step, axes = np.array([1, 1], np.int64), np.array([2, 3], np.int64)
    return ops.slice(planes, start, ops.add(start, length), step, axes)
