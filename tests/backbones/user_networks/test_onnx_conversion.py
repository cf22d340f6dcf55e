"""ONNX files on OpenVINO: scaling, layout, pooling and batches, held to NumPy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import CHANNELS, SIDE, convolve, make_onnx, map_nodes, noise
from numpy.typing import NDArray
from onnx import TensorProto, helper

from retrain_cli.backbones.loader import Backbone, load_backbone
from retrain_cli.backbones.spec import BackboneSpec, Pooling
from retrain_cli.errors import BackboneError, RetrainError, WeightsError

IMAGES = noise()
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def load(tmp_path: Path, file: Path, **settings: object) -> Backbone:
    settings = {"scaling": "none", "runtime": "openvino", "precision": "float32", **settings}
    spec = BackboneSpec(f"onnx:{file}", **settings)  # type: ignore[arg-type]
    return load_backbone(spec, "cpu", tmp_path / "models")


def close(found: NDArray[np.float32], wanted: NDArray[np.floating]) -> None:
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize(
    ("scaling", "scaled"),
    [
        ("none", IMAGES.astype(np.float64)),
        ("tf", IMAGES / 127.5 - 1),
        ("torch", (IMAGES / 255 - MEAN) / DEVIATION),
        ("caffe", IMAGES[..., ::-1] - (103.939, 116.779, 123.68)),
        ("0/1", IMAGES / 255),
        ("0.1,0.2,0.3/0.4,0.5,0.6", (IMAGES / 255 - (0.1, 0.2, 0.3)) / (0.4, 0.5, 0.6)),
        ("0.1,0.2,0.3/1:bgr", IMAGES[..., ::-1] / 255 - (0.1, 0.2, 0.3)),
        ("none:bgr", IMAGES[..., ::-1].astype(np.float64)),
    ],
)
def test_pixels_are_scaled_as_it_says(
    tmp_path: Path, scaling: str, scaled: NDArray[np.float64]
) -> None:
    backbone = load(tmp_path, make_onnx(tmp_path / "a.onnx"), scaling=scaling)
    assert (backbone.width, backbone.input_size) == (CHANNELS, (SIDE, SIDE))
    close(backbone(IMAGES), convolve(scaled).mean(axis=(2, 3)))


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_map_is_pooled_over_height_and_width(
    tmp_path: Path, pooling: Pooling, channels_last: bool
) -> None:
    nodes, outputs = map_nodes(), None
    if channels_last:
        nodes.append(helper.make_node("Transpose", ["map"], ["last"], perm=[0, 2, 3, 1]))
        outputs = {"last": ["n", SIDE // 2, SIDE // 2, CHANNELS]}
    backbone = load(tmp_path, make_onnx(tmp_path / "a.onnx", nodes, outputs), pooling=pooling)
    reduce = np.max if pooling == "max" else np.mean
    close(backbone(IMAGES), reduce(convolve(IMAGES), axis=(2, 3)))


@pytest.mark.parametrize("pooling", ["avg", "max", "cls"])
def test_tokens_are_pooled_or_the_first_one_is_taken(tmp_path: Path, pooling: Pooling) -> None:
    nodes = [
        *map_nodes(),
        helper.make_node("Reshape", ["map", "flat"], ["rows"]),
        helper.make_node("Transpose", ["rows"], ["tokens"], perm=[0, 2, 1]),
    ]
    flat = {"flat": np.array([0, CHANNELS, -1], np.int64)}
    file = make_onnx(tmp_path / "a.onnx", nodes, {"tokens": ["n", 16, CHANNELS]}, weights=flat)
    tokens = convolve(IMAGES).reshape(3, CHANNELS, 16).transpose(0, 2, 1)
    wanted = {"avg": tokens.mean(axis=1), "max": tokens.max(axis=1), "cls": tokens[:, 0]}
    close(load(tmp_path, file, pooling=pooling)(IMAGES), wanted[pooling])


def vector_nodes(source: str = "pixels") -> list[object]:
    return [
        *map_nodes(source),
        helper.make_node("ReduceMax", ["map"], ["vector"], axes=[2, 3], keepdims=0),
    ]


def test_a_vector_is_taken_as_it_is(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx", vector_nodes(), {"vector": ["n", CHANNELS]})
    close(load(tmp_path, file)(IMAGES), convolve(IMAGES).max(axis=(2, 3)))


def test_channels_may_stand_last(tmp_path: Path) -> None:
    turn = helper.make_node("Transpose", ["pixels"], ["turned"], perm=[0, 3, 1, 2])
    file = make_onnx(tmp_path / "a.onnx", [turn, *map_nodes("turned")], shape=("n", SIDE, SIDE, 3))
    close(load(tmp_path, file)(IMAGES), convolve(IMAGES).mean(axis=(2, 3)))


@pytest.mark.parametrize("kind", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_an_input_of_another_kind_gets_what_it_takes(tmp_path: Path, kind: int) -> None:
    cast = helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT)
    file = make_onnx(tmp_path / "a.onnx", [cast, *map_nodes("floats")], kind=kind)
    scaling = None if kind == TensorProto.UINT8 else "none"
    close(load(tmp_path, file, scaling=scaling)(IMAGES), convolve(IMAGES).mean(axis=(2, 3)))


def test_a_size_that_the_file_leaves_open_is_the_one_that_is_given(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx", shape=("n", 3, "h", "w"), outputs={"map": None})
    with pytest.raises(BackboneError, match="give the side in pixels"):
        load(tmp_path, file)
    backbone = load(tmp_path, file, input_size=SIDE)
    close(backbone(IMAGES), convolve(IMAGES).mean(axis=(2, 3)))


def test_images_need_not_be_squares(tmp_path: Path) -> None:
    backbone = load(tmp_path, make_onnx(tmp_path / "a.onnx", shape=("n", 3, SIDE, 4)))
    assert backbone.input_size == (SIDE, 4)
    assert backbone(np.zeros((2, SIDE, 4, 3), np.uint8)).shape == (2, CHANNELS)


@pytest.mark.parametrize("held", [False, True])
def test_a_file_for_one_image_takes_several(tmp_path: Path, held: bool) -> None:
    """Where its first axis can be freed; where a constant in it holds it, one after the other."""
    nodes, outputs, weights = vector_nodes(), {"vector": [1, CHANNELS]}, {}
    if held:
        nodes.append(helper.make_node("Reshape", ["vector", "one"], ["held"]))
        outputs, weights = {"held": [1, CHANNELS]}, {"one": np.array([1, CHANNELS], np.int64)}
    file = make_onnx(tmp_path / "a.onnx", nodes, outputs, shape=(1, 3, SIDE, SIDE), weights=weights)
    many = noise(11)
    backbone = load(tmp_path, file)
    close(backbone(many), convolve(many).max(axis=(2, 3)))
    assert backbone(many[:0]).shape == (0, CHANNELS)


def test_a_file_for_eight_images_alone_is_refused(tmp_path: Path) -> None:
    nodes = [*vector_nodes(), helper.make_node("Reshape", ["vector", "eight"], ["held"])]
    file = make_onnx(
        tmp_path / "a.onnx",
        nodes,
        {"held": [8, CHANNELS]},
        shape=(8, 3, SIDE, SIDE),
        weights={"eight": np.array([8, CHANNELS], np.int64)},
    )
    with pytest.raises(RetrainError, match="8 at once"):
        load(tmp_path, file)


def test_vectors_that_depend_on_the_batch_are_refused(tmp_path: Path) -> None:
    nodes = [
        *vector_nodes(),
        helper.make_node("ReduceMean", ["vector"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Sub", ["vector", "mean"], ["centred"]),
    ]
    file = make_onnx(tmp_path / "a.onnx", nodes, {"centred": ["n", CHANNELS]})
    with pytest.raises(BackboneError, match="depend on what else is in the batch"):
        load(tmp_path, file)


def test_what_openvino_cannot_run_is_named(tmp_path: Path) -> None:
    odd = helper.make_node("Oddity", ["pixels"], ["map"], domain="company")
    with pytest.raises(BackboneError, match=r"company\.Oddity.*retrain-cli\[onnx\]"):
        load(tmp_path, make_onnx(tmp_path / "a.onnx", [odd]))


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx")
    spec = BackboneSpec(f"onnx:{file}", scaling="none").resolve()
    make_onnx(file, metadata={"another": "file"})
    with pytest.raises(WeightsError, match=r"has [0-9a-f]{32} now: put the old file back"):
        spec.fingerprint()
    file.unlink()
    with pytest.raises(WeightsError, match=r"BLAKE2b [0-9a-f]{32}.*no such file"):
        spec.resolve()
