"""ONNX files on ONNX Runtime, held to NumPy; where it is missing, the extra is named."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from networks import CHANNELS, SIDE, convolve, make_onnx, map_nodes, noise
from onnx import TensorProto, helper

from retrain_cli.backbones.loader import Backbone, load_backbone
from retrain_cli.backbones.runtimes.own_devices import CUDA, choose_own_device
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import DeviceError, MissingExtraError

installed = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="ONNX Runtime is missing")


def load(file: Path, **settings: Any) -> Backbone:
    settings = {"scaling": "none", "runtime": "onnxruntime", **settings}
    return load_backbone(BackboneSpec(f"onnx:{file}", **settings), "cpu")


def test_without_it_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"retrain-cli\[onnx\]"):
        load(make_onnx(tmp_path / "a.onnx"))


@pytest.mark.parametrize(
    ("providers", "device", "chosen"),
    [
        ([CUDA], "auto", "gpu:0"),
        ([CUDA], "gpu:1", "gpu:1"),
        ([CUDA], "cpu", "cpu:0"),
        ([], "auto", "cpu:0"),
        ([], "gpu", None),
    ],
)
def test_it_computes_on_a_gpu_that_it_sees(
    providers: list[str], device: str, chosen: str | None
) -> None:
    module = SimpleNamespace(
        __name__="onnxruntime", get_available_providers=lambda: [*providers, "CPU"]
    )
    if chosen is None:
        with pytest.raises(DeviceError, match="a GPU that onnxruntime sees"):
            choose_own_device(module, device)
    else:
        assert choose_own_device(module, device) == chosen


@installed
@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_it_computes_what_numpy_computes(tmp_path: Path, batch: str | int, pooling: Any) -> None:
    file = make_onnx(
        tmp_path / "a.onnx",
        outputs={"map": [batch, CHANNELS, SIDE // 2, SIDE // 2]},
        shape=(batch, 3, SIDE, SIDE),
    )
    backbone = load(file, scaling="0.1,0.2,0.3/0.5:bgr", pooling=pooling)
    assert (backbone.width, backbone.input_size, backbone.device) == (
        CHANNELS,
        (SIDE, SIDE),
        "cpu:0",
    )
    images = noise(3)
    reduce = np.max if pooling == "max" else np.mean
    wanted = reduce(convolve((images[..., ::-1] / 255 - (0.1, 0.2, 0.3)) / 0.5), axis=(2, 3))
    np.testing.assert_allclose(backbone(images), wanted, rtol=1e-4, atol=1e-5)


@installed
@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.FLOAT16])
def test_an_input_of_another_kind(tmp_path: Path, kind: int) -> None:
    cast = helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT)
    file = make_onnx(tmp_path / "a.onnx", [cast, *map_nodes("floats")], kind=kind)
    images = noise(2)
    wanted = convolve(images).mean(axis=(2, 3))
    np.testing.assert_allclose(load(file)(images), wanted, rtol=1e-4, atol=1e-2)
