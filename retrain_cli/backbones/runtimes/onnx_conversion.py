"""An ONNX file as an OpenVINO model: read, given 8-bit pixels and one vector an image, kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli import waiting
from retrain_cli.backbones.runtimes.conversion import LEAST_COSINE, ConversionError, neutral_names
from retrain_cli.backbones.runtimes.kept_models import XML, KeptModel, keep_model
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.user_networks.onnx_network import OnnxNetwork, describe_onnx
from retrain_cli.backbones.user_networks.pooling import pooled_axes
from retrain_cli.backbones.user_networks.resolving import check_onnx_unchanged
from retrain_cli.backbones.user_networks.scalings import parse_scaling
from retrain_cli.engine import load_openvino, openvino_core, quiet_engine
from retrain_cli.errors import BackboneError, RetrainError, setting


def convert_onnx(spec: BackboneSpec, models: Path) -> KeptModel:
    """Read the file of a resolved spec, add what comes before and after, keep it in `models`.

    Raises:
        ConversionError: OpenVINO does not take it.
        BackboneError: its vectors are none, or depend on the other images of a batch.
        WeightsError: the file is not the one that the spec was resolved with.
        WorkspaceError: the folder cannot be written.
    """
    check_onnx_unchanged(spec)
    network = describe_onnx(spec.onnx_path, spec.output, spec.scaling, spec.input_size)

    def write(folder: Path) -> None:
        try:
            with waiting.for_(f"reading {spec.name} with OpenVINO, once"), quiet_engine():
                _write_model(network, spec, folder / XML)
        except RetrainError:
            raise
        except Exception as error:  # whatever OpenVINO's reader raises
            raise ConversionError(
                f"{network.path} is a network that OpenVINO cannot run ({_reason(error)}): export "
                "it with another opset, or pip install 'retrain-cli[onnx]' and run it with "
                f"{setting('runtime', 'onnxruntime')}"
            ) from error

    return keep_model(models, replace(spec, precision="float32"), write)


def _write_model(network: OnnxNetwork, spec: BackboneSpec, xml: Path) -> None:
    """With any number of images at once where that works, else with one by one."""
    openvino = load_openvino()
    named = f"{network.path} ({network.output})"
    model = _try_any_number(network, spec)
    if model is None and network.batch != 1:
        raise BackboneError(
            f"a backbone takes any number of images, or one, and {network.path} takes "
            f"{network.batch} at once: export it with a first axis of any length"
        )
    model = model or _prepared(network, spec, 1)
    width = list(model.output(0).partial_shape)[-1]
    if width.is_dynamic:
        raise BackboneError(
            f"a backbone's vectors are of one length, and that of {named} is not known: export the "
            "model with a fixed width"
        )
    neutral_names(model)
    openvino.serialize(model, xml)


def _try_any_number(network: OnnxNetwork, spec: BackboneSpec) -> Any:
    """The model for batches of any size; None where the file holds it to one image.

    Raises:
        BackboneError: its vectors depend on the other images of a batch.
    """
    try:
        model = _prepared(network, spec, -1)
        together, apart = _vectors(model, network.size)
    except RetrainError:
        raise
    except Exception:
        if network.batch is None:
            raise
        return None
    if together.shape == apart.shape and _least_cosine(together, apart) > LEAST_COSINE:
        return model
    if network.batch is not None:
        return None
    raise BackboneError(
        f"a backbone gives each image a vector of its own, and those of {network.path} depend on "
        "what else is in the batch: export the model for inference, not for training"
    )


def _prepared(network: OnnxNetwork, spec: BackboneSpec, batch: int) -> Any:
    """OpenVINO's model: `(batch, height, width, 3) uint8` RGB in, `(batch, width) float32` out."""
    openvino = load_openvino()
    whole = openvino_core().read_model(network.path)
    found = {name: port for port in whole.outputs for name in port.get_names()}
    result = found[network.output].get_node().input_value(0)
    model = openvino.Model([result], whole.get_parameters())
    height, width = network.size
    image = [batch, 3, height, width] if network.channels_first else [batch, height, width, 3]
    model.reshape({model.input(0): openvino.PartialShape(image)})
    return _with_pooling(_with_scaling(model, network), network, spec)


def _with_scaling(model: Any, network: OnnxNetwork) -> Any:
    openvino = load_openvino()
    from openvino.preprocess import PrePostProcessor

    scaling = parse_scaling(network.scaling)
    added = PrePostProcessor(model)
    image = added.input()
    image.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    image.model().set_layout(openvino.Layout("NCHW" if network.channels_first else "NHWC"))
    steps = image.preprocess()
    if scaling.bgr:
        steps.reverse_channels()
    if network.kind != "uint8":
        steps.convert_element_type(openvino.Type.f32)
        steps.scale(scaling.divisor).mean(list(scaling.mean)).scale(list(scaling.deviation))
    return added.build()


def _with_pooling(model: Any, network: OnnxNetwork, spec: BackboneSpec) -> Any:
    openvino = load_openvino()
    from openvino import opset13

    result = model.output(0).get_node().input_value(0)
    shape = [
        None if axis.is_dynamic else axis.get_length()
        for axis in (result.partial_shape if result.partial_shape.rank.is_static else ())
    ]
    axes = pooled_axes(
        shape,
        spec.pooling,
        channels_first=network.channels_first,
        named=f"{network.path} ({network.output})",
    )
    # Pooling in float32 keeps what a mean over a map gains in a lower precision.
    vectors = opset13.convert(result, "f32")
    if spec.pooling == "cls":
        vectors = opset13.gather(vectors, np.int64(0), np.int64(1))
    elif axes:
        reduce = opset13.reduce_max if spec.pooling == "max" else opset13.reduce_mean
        vectors = reduce(vectors, np.array(axes, np.int64), keep_dims=False)
    return openvino.Model([vectors], model.get_parameters())


def _vectors(model: Any, size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors of two images of noise: computed together, and one by one."""
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino_core().compile_model(model, "CPU", hints)
    together = np.array(compiled([images])[0])
    apart = np.concatenate([np.array(compiled([images[row : row + 1]])[0]) for row in range(2)])
    return together, apart


def _least_cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Of the rows of two arrays; 1 for equal ones, of zeros too."""
    left, right = ours.astype(np.float64), theirs.astype(np.float64)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    same = (left == right).all(axis=1)
    return float(np.where(same, 1.0, (left * right).sum(axis=1) / np.maximum(norms, 1e-300)).min())


def _reason(error: Exception) -> str:
    """What OpenVINO means: its last line, without the places in its source that stand before."""
    lines = [line.strip(" -") for line in str(error).splitlines() if line.strip(" -")]
    return (lines or [type(error).__name__])[-1].rstrip(".")[:200]
