"""A Keras backbone as an OpenVINO model: converted once, checked against the original, kept."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli import waiting
from retrain_cli.backbones.runtimes.kept_models import XML, KeptModel, converted_from, keep_model
from retrain_cli.backbones.runtimes.keras_model import KerasModelBackbone, build_keras_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import (
    load_keras,
    load_openvino,
    load_tensorflow,
    openvino_core,
    quiet_engine,
)
from retrain_cli.errors import BackboneError, reason_of, setting

LEAST_COSINE = 0.9999
"""Between a float32 vector of the converted network and the original's; measured: 0.9999999."""


class ConversionError(BackboneError):
    """OpenVINO cannot run this network."""


def convert_backbone(spec: BackboneSpec, models: Path, network: Any = None) -> KeptModel:
    """Build the backbone with Keras, convert it, compare the two, keep it in `models`.

    Args:
        spec: a resolved spec of the table.
        models: the folder of the kept models.
        network: its bare Keras network with its weights, where it is built already.

    Raises:
        ConversionError: OpenVINO does not take it, or computes something else.
        RetrainError: it cannot be built, or the folder cannot be written.
    """
    backbone = build_keras_backbone(converted_from(spec), "cpu:0", network=network)
    return keep_compared(
        spec,
        models,
        lambda xml: _write_model(backbone, xml),
        lambda xml: _agreement(backbone, xml),
        _message,
        "Keras",
    )


def keep_compared(
    spec: BackboneSpec,
    models: Path,
    write_model: Callable[[Path], None],
    agreement: Callable[[Path], float],
    message: Callable[[BackboneSpec, str], str],
    engine: str,
) -> KeptModel:
    """Convert a network for OpenVINO, compare it with what it was, and keep it in `models`.

    Args:
        spec: what is converted.
        models: the folder of the kept models.
        write_model: writes the converted network to a path.
        agreement: least cosine between the vectors of both, by that path.
        message: of an error, from the spec and the reason.
        engine: what it ran on, as people call it.

    Raises:
        ConversionError: OpenVINO does not take it, or computes something else.
        RetrainError: the folder cannot be written.
    """

    def write(folder: Path) -> None:
        try:
            with waiting.for_(f"converting {spec.name} for OpenVINO, once"), quiet_engine():
                write_model(folder / XML)
                cosine = agreement(folder / XML)
        except Exception as error:  # whatever an engine's converter raises
            raise ConversionError(message(spec, reason_of(error))) from error
        if not cosine > LEAST_COSINE:
            reason = f"cosine to {engine}'s vectors only {cosine:.4f}"
            raise ConversionError(message(spec, reason))

    return keep_model(models, replace(spec, precision="float32"), write)


def least_cosine(
    xml: Path,
    images: NDArray[np.uint8],
    theirs: NDArray[np.float32],
    layer_widths: Sequence[int] = (),
) -> float:
    """Between the vectors that OpenVINO computes of images in float32 and those of an engine.

    Those of several layers are compared layer by layer: the largest would hide the others.
    """
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    ours = openvino_core().compile_model(xml, "CPU", hints)([images])[0]
    ends = np.cumsum(layer_widths)[:-1]
    pairs = zip(np.split(ours, ends, axis=1), np.split(theirs, ends, axis=1), strict=True)
    return min(_cosine(own, other) for own, other in pairs)


def _cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(1) / norms).min())


def _message(spec: BackboneSpec, reason: str) -> str:
    return (
        f"{setting('runtime', 'openvino')} needs a network that OpenVINO can run, and {spec.name} "
        f"is none ({reason}): choose {setting('runtime', 'keras')}"
    )


def _write_model(backbone: KerasModelBackbone, xml: Path) -> None:
    on_tensorflow = load_keras().backend.backend() == "tensorflow"
    if on_tensorflow:
        model = traced_model(backbone.model, backbone.input_size)
    else:
        model = _export(backbone, xml.with_name("raw.xml"))
    neutral_names(model)
    load_openvino().serialize(model, xml)


def traced_model(model: Any, size: tuple[int, int]) -> Any:
    """A Keras model on TensorFlow as an OpenVINO model, for any number of 8-bit RGB images.

    The same as Keras's own export, which needs one version of OpenVINO or another.

    Args:
        model: takes `(n, height, width, 3) uint8`.
        size: (height, width) in pixels.
    """
    tensorflow = load_tensorflow()
    images = tensorflow.TensorSpec((None, *size, 3), "uint8")
    function = tensorflow.function(lambda batch: model(batch, training=False))
    openvino = load_openvino()
    _mend_converter(tensorflow.__version__)
    return openvino.convert_model(function.get_concrete_function(images))


def _mend_converter(version: str) -> None:
    """OpenVINO 2026.4 asks for TensorFlow's version by an `exec` that fails on Python 3.13."""
    if sys.version_info >= (3, 13):
        utils: Any = import_module("openvino.frontend.tensorflow.utils")
        utils.get_environment_setup = lambda framework: {"tensorflow": version}


def _export(backbone: KerasModelBackbone, xml: Path) -> Any:
    """Keras's own export, for its engines other than TensorFlow."""
    backbone.model.export(str(xml), format="openvino", verbose=False)
    model = openvino_core().read_model(xml.read_bytes(), xml.with_suffix(".bin").read_bytes())
    xml.unlink()
    xml.with_suffix(".bin").unlink()
    return model


def neutral_names(model: Any) -> None:
    """Number all operations in the graph's own order.

    Keras numbers layers over the life of a process, so that the same network would get another
    digest when it is the second one.
    """
    for number, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
        for output in operation.outputs():
            output.get_tensor().set_names(set())


def _agreement(backbone: KerasModelBackbone, xml: Path) -> float:
    """Least cosine between the vectors of both, over two images of noise."""
    size = (2, *backbone.input_size, 3)
    images = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    theirs = load_keras().ops.convert_to_numpy(backbone.model(images, training=False))
    return least_cosine(xml, images, theirs, backbone.layer_widths)
