"""Networks in 8 bits that OpenVINO does not compute as NNCF makes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.backbones.runtimes.kept_models import XML, keep_model
from retrain_cli.backbones.runtimes.openvino_model import build_openvino_backbone
from retrain_cli.backbones.runtimes.quantisation import quantise
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_openvino, openvino_core
from retrain_cli.errors import BackboneError

pytest.importorskip("nncf")
SIZE, CHANNELS = 14, 8
FLOAT = BackboneSpec("mobilenet", weights="random", precision="float32", runtime="openvino")
INT8 = BackboneSpec("mobilenet", weights="random", precision="int8", runtime="openvino")
REFUSED = (
    "Exception from core.cpp:117:\nit doesn't support non per-tensor quantization for axis: 2.\n\n"
)


def network() -> Any:
    """A depthwise convolution behind moved axes, as EfficientNetV2 has them."""
    openvino = load_openvino()
    import openvino.opset13 as ops

    drawn = np.random.default_rng(0)
    pixels = ops.parameter([-1, SIZE, SIZE, 3], np.uint8)
    first = ops.transpose(ops.convert(pixels, "f32"), ops.constant([0, 3, 1, 2]))
    kernel = ops.constant(drawn.normal(size=(CHANNELS, 3, 1, 1)).astype(np.float32))
    mixed = ops.convolution(first, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    active = ops.swish(ops.transpose(mixed, ops.constant([0, 2, 3, 1])))
    back = ops.transpose(active, ops.constant([0, 3, 1, 2]))
    kernels = ops.constant(drawn.normal(size=(CHANNELS, 1, 1, 3, 3)).astype(np.float32))
    deep = ops.group_convolution(back, kernels, [1, 1], [1, 1], [1, 1], [1, 1])
    return openvino.Model([ops.reduce_mean(deep, ops.constant([2, 3]))], [pixels])


def has_scale_a_row(model: Any) -> bool:
    """Whether it has what the processor's plugin refuses: a scale for each row of an image."""
    scales = (
        op.input(1).get_partial_shape()
        for op in model.get_ops()
        if op.get_type_name() == "FakeQuantize"
    )
    return any(len(shape) == 4 and str(shape) == f"[1,{SIZE},1,1]" for shape in scales)


def is_in_8_bits(model: Any) -> bool:
    return any(op.get_type_name() == "FakeQuantize" for op in model.get_ops())


class Picky:
    """OpenVINO on a processor that computes some networks only; the rest is OpenVINO itself."""

    def __init__(self, core: Any, takes: Any) -> None:
        self._core, self._takes = core, takes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def compile_model(self, model: Any, *more: Any, **named: Any) -> Any:  # NNCF names all
        if more[:1] == ("CPU",) and not self._takes(model):
            raise RuntimeError(REFUSED)
        return self._core.compile_model(model, *more, **named)


def pictures() -> list[Any]:
    return list(np.random.default_rng(1).integers(0, 256, (12, SIZE, SIZE, 3), np.uint8))


def on_a_processor(monkeypatch: pytest.MonkeyPatch, takes: Any) -> None:
    picky = Picky(openvino_core(), takes)
    for module in ("quantisation", "openvino_model"):
        name = f"retrain_cli.backbones.runtimes.{module}.openvino_core"
        monkeypatch.setattr(name, lambda: picky)


def kept_network(folder: Path) -> Any:
    return keep_model(
        folder, FLOAT, lambda draft: load_openvino().serialize(network(), draft / XML)
    )


def test_a_scale_for_each_input_does_where_more_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = kept_network(tmp_path)
    refused = []

    def takes(model: Any) -> bool:
        refused.append(has_scale_a_row(model))
        return not refused[-1]

    on_a_processor(monkeypatch, takes)
    kept = quantise(base, INT8, tmp_path, pictures)
    assert refused.count(True) == 1
    monkeypatch.undo()
    images = np.stack(pictures())
    vectors = [openvino_core().compile_model(one.xml, "CPU")([images])[0] for one in (base, kept)]
    cosines = (vectors[0] * vectors[1]).sum(1) / np.prod(np.linalg.norm(vectors, axis=2), axis=0)
    assert cosines.min() > 0.99


def test_a_network_that_8_bits_cannot_do_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = kept_network(tmp_path)
    on_a_processor(monkeypatch, lambda model: False)
    with pytest.raises(
        BackboneError, match=r"none \(it doesn't support non per-tensor .* axis: 2\)"
    ):
        quantise(base, INT8, tmp_path, pictures)


def test_a_kept_network_that_this_processor_refuses_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_network(tmp_path)
    on_a_processor(monkeypatch, lambda model: False)
    with pytest.raises(BackboneError, match=r"OpenVINO cannot compute .* on this processor"):
        build_openvino_backbone(FLOAT, tmp_path)
