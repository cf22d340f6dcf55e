"""The mean of a class activation map and the bias are the logit, on each runtime and pooling."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import CHANNELS, SIDE, convolve, make_onnx, map_nodes, noise
from onnx import helper

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.maps.map_layout import MapLayout
from retrain_cli.backbones.maps.mapped_backbone import load_mapped
from retrain_cli.backbones.runtimes.conversion import convert_backbone
from retrain_cli.backbones.runtimes.onnx_conversion import convert_onnx
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import BackboneError
from retrain_cli.explaining.slopes import slopes_of
from retrain_cli.heads.head import Head
from retrain_cli.workspace import Workspace

SPEC = BackboneSpec(
    "mobilenet", alpha=0.25, weights="random", input_size=32, precision="float32", runtime="keras"
)


def head_of(width: int, n_classes: int = 3) -> Head:
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(width, n_classes)).astype(np.float32)
    bias = generator.normal(size=n_classes).astype(np.float32)
    return Head(tuple("abc"), weights, bias)


def settled(spec: BackboneSpec, runtime: str, workspace: Workspace) -> BackboneSpec:
    if runtime == "keras":
        return spec.resolve()
    chosen = replace(spec, runtime="openvino").resolve()
    return replace(chosen, model=convert_backbone(chosen, workspace.models_dir).digest)


LAYERS = {"layer": "conv_pw_6_relu,conv_pw_12_relu"}


@pytest.mark.parametrize(
    ("runtime", "options"),
    [
        ("keras", {"pooling": "max"}),
        ("keras", LAYERS),
        ("openvino", {"pooling": "none"}),
        ("openvino", LAYERS),
    ],
)
def test_the_mean_of_the_map_and_the_bias_are_the_logit(
    runtime: str, options: dict[str, Any], tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    spec = settled(replace(SPEC, **options), runtime, workspace)
    mapped = load_mapped(spec, "cpu", workspace)
    images = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), np.uint8)
    vectors, maps = mapped.layout.split(mapped(images))
    plain = load_backbone(spec, "cpu", workspace.models_dir)(images)
    np.testing.assert_allclose(vectors, plain, rtol=1e-4, atol=1e-5)
    head = head_of(vectors.shape[1])
    classes = np.array([0, 1, 2, 1, 0])
    slopes = slopes_of(head, plain, classes)
    grids = mapped.layout.evidence(maps, slopes.weights)
    assert len(grids) == len(spec.layers or (None,))
    total = sum(grid.mean(axis=(1, 2)) for grid in grids) + slopes.bias
    logits = head.logits(plain)[np.arange(5), classes]
    np.testing.assert_allclose(total, logits, rtol=1e-4, atol=1e-4)


def test_a_vector_has_no_places(tmp_path: Path) -> None:
    spec = replace(SPEC, layer="conv_pw_12_relu").resolve()
    layout = MapLayout(((2, 2, 3),), "avg", ("",))
    rows = np.ones((1, 3 + 12), np.float32)
    layout.check(rows, spec)
    rows[0, 0] = 2
    with pytest.raises(BackboneError, match=r"more than a pooled feature map.*occlusion"):
        layout.check(rows, spec)


def test_of_equal_maxima_each_counts_as_much() -> None:
    layout = MapLayout(((1, 3, 1),), "max", ("",))
    maps = np.array([[[[5.0], [1.0], [5.0]]]], np.float32)
    (grid,) = layout.evidence([maps], np.array([[2.0]], np.float32))
    assert grid.tolist() == [[[15.0, 0.0, 15.0]]]
    assert grid.mean() == 2 * 5


def onnx_spec(file: Path, workspace: Workspace, **settings: Any) -> BackboneSpec:
    spec = BackboneSpec(f"onnx:{file}", scaling="tf", runtime="openvino", **settings).resolve()
    return replace(spec, precision="float32", model=convert_onnx(spec, workspace.models_dir).digest)


@pytest.mark.parametrize("end", ["map", "GlobalAveragePool", "channels last"])
def test_a_file_of_the_user_s_has_places_too(end: str, tmp_path: Path) -> None:
    workspace, nodes, outputs = Workspace(tmp_path), map_nodes(), None
    if end == "GlobalAveragePool":
        nodes.append(helper.make_node("GlobalAveragePool", ["map"], ["mean"]))
        nodes.append(helper.make_node("Flatten", ["mean"], ["flat"]))
        outputs = {"flat": ["n", CHANNELS]}
    elif end == "channels last":
        nodes.append(helper.make_node("Transpose", ["map"], ["last"], perm=[0, 2, 3, 1]))
        outputs = {"last": ["n", SIDE // 2, SIDE // 2, CHANNELS]}
    spec = onnx_spec(make_onnx(tmp_path / "a.onnx", nodes, outputs), workspace)
    mapped = load_mapped(spec, "cpu", workspace)
    vectors, (maps,) = mapped.layout.split(mapped(noise()))
    wanted = convolve(noise() / 127.5 - 1).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(maps, wanted, atol=1e-4)
    np.testing.assert_allclose(vectors, wanted.mean(axis=(1, 2)), atol=1e-4)


def test_a_file_that_gives_another_vector_has_none(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    nodes = [
        *map_nodes(),
        helper.make_node("Flatten", ["map"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["bent"]),
    ]
    file = make_onnx(tmp_path / "a.onnx", nodes, {"bent": ["n", CHANNELS * (SIDE // 2) ** 2]})
    with pytest.raises(BackboneError, match=r"pooled feature map.*Tanh.*occlusion"):
        load_mapped(onnx_spec(file, workspace), "cpu", workspace)
    own = replace(onnx_spec(file, workspace), runtime="onnxruntime", model=None)
    with pytest.raises(BackboneError, match="stay inside"):
        load_mapped(own, "cpu", workspace)
