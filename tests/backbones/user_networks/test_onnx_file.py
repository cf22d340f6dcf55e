"""ONNX files that are damaged, hostile or of another kind: one line, and nothing else is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from networks import CHANNELS, SIDE, make_onnx, map_nodes
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.user_networks import onnx_file
from retrain_cli.backbones.user_networks.onnx_file import digest_onnx, read_onnx
from retrain_cli.errors import BackboneError, ConfigError, RetrainError, WeightsError

VECTOR = {"vector": ["n", CHANNELS]}


def refused(file: Path, error: type[RetrainError] = WeightsError, **settings: Any) -> str:
    with pytest.raises(error) as caught:
        BackboneSpec(f"onnx:{file}", **{"scaling": "none", **settings}).resolve()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_external_data(path: Path, location: str = "weights.bin") -> Path:
    model = onnx.load(str(make_onnx(path)))
    convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    onnx.save(model, str(path))
    if location != "weights.bin":
        point_to(path, location)
    return path


def point_to(path: Path, location: str) -> None:
    """Let the weights lie elsewhere, as only a hostile file says."""
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04" + bytes(60), b"\x89HDF\r\n\x1a\n", b"some text\n" * 9, b"\x08\x09"],
    ids=["empty", "zip", "hdf5", "text", "only a version"],
)
def test_a_file_of_another_kind(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.onnx"
    file.write_bytes(content)
    assert "takes an intact ONNX file" in refused(file)


def test_any_truncation_is_told(tmp_path: Path) -> None:
    """Also at the end of a field, where what is left would be a message."""
    whole = make_onnx(tmp_path / "whole.onnx").read_bytes()
    file = tmp_path / "a.onnx"
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        refused(file)


def test_no_byte_of_noise_makes_another_error(tmp_path: Path) -> None:
    whole = make_onnx(tmp_path / "whole.onnx").read_bytes()
    generator = np.random.default_rng(0)
    for number in range(300):
        damaged = bytearray(whole)
        for place in generator.integers(0, len(whole), 3):
            damaged[place] = generator.integers(256)
        file = tmp_path / f"{number}.onnx"
        file.write_bytes(damaged)
        try:
            BackboneSpec(f"onnx:{file}", scaling="none").resolve()
        except RetrainError as error:
            assert "\n" not in str(error)


def test_a_file_of_endless_fields_is_left_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "_MOST_FIELDS", 1000)
    file = make_onnx(tmp_path / "a.onnx")
    file.write_bytes(file.read_bytes() + b"\x08\x09" * 2000)
    assert "more than 1,000 fields" in refused(file)


def test_graphs_may_be_nested_deeply(tmp_path: Path) -> None:
    """Protocol Buffers of a hostile file; nothing here calls itself for each level."""
    inner = b""
    for _ in range(5000):
        attribute = b"\x32" + length_of(inner) + inner
        node = b"\x2a" + length_of(attribute) + attribute
        inner = b"\x0a" + length_of(node) + node
    file = make_onnx(tmp_path / "a.onnx")
    file.write_bytes(file.read_bytes() + b"\x3a" + length_of(inner) + inner)
    assert "it is no ONNX model" in refused(file)  # of two graphs


def length_of(message: bytes) -> bytes:
    value, found = len(message), bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def test_external_data_count_in_the_digest(tmp_path: Path) -> None:
    file = with_external_data(tmp_path / "a.onnx")
    assert read_onnx(file).external == ("weights.bin",)
    before = digest_onnx(file)
    data = tmp_path / "weights.bin"
    content = bytearray(data.read_bytes())
    content[5] ^= 1
    data.write_bytes(content)
    os.utime(data, ns=(1, 1))
    assert digest_onnx(file) != before
    data.unlink()
    with pytest.raises(WeightsError, match=r"weights\.bin.*not beside it"):
        onnx_file._read_unchanged.cache_clear()
        digest_onnx(file)


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "..", "", "C:\\x", "..\\secret.bin"],
)
def test_external_data_outside_of_its_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    folder = tmp_path / "network"
    folder.mkdir()
    file = with_external_data(folder / "a.onnx", location)
    assert "leads out of its folder" in refused(file)


def test_external_data_that_are_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(4096))
    folder = tmp_path / "network"
    folder.mkdir()
    file = with_external_data(folder / "a.onnx")
    (folder / "weights.bin").unlink()
    (folder / "weights.bin").symlink_to("../secret.bin")
    assert "cp -L" in refused(file)


def test_external_data_deep_in_a_constant(tmp_path: Path) -> None:
    """Of a graph in an attribute of a node: not among the weights."""
    hidden = numpy_helper.from_array(np.zeros(3, np.float32), "hidden")
    hidden.ClearField("raw_data")
    hidden.data_location = TensorProto.EXTERNAL
    entry = hidden.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=hidden)],
        "inner",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [3])],
    )
    nodes = [*map_nodes(), helper.make_node("If", ["yes"], ["z"], then_branch=inner)]
    file = make_onnx(tmp_path / "a.onnx", nodes, weights={"yes": np.array(True)})
    assert "leads out of its folder" in refused(file)


def test_several_outputs_are_named(tmp_path: Path) -> None:
    nodes = [
        *map_nodes(),
        helper.make_node("ReduceMax", ["map"], ["vector"], axes=[2, 3], keepdims=0),
    ]
    file = make_onnx(tmp_path / "a.onnx", nodes, {"map": None, **VECTOR})
    told = refused(file, BackboneError)
    assert "has 2 outputs: map (float32, ?), vector (float32, any x 5): name the one" in told
    assert "not 'vectr': it has map" in refused(file, BackboneError, output="vectr")
    spec = BackboneSpec(f"onnx:{file}", scaling="none", output="vector").resolve()
    assert spec.output == "vector"
    assert spec.fingerprint() != BackboneSpec(spec.name, scaling="none", output="map").fingerprint()


def test_text_beside_the_image(tmp_path: Path) -> None:
    inputs: dict[str, list[Any]] = {"input_ids": ["n", 77], "pixels": ["n", 3, SIDE, SIDE]}
    told = refused(make_onnx(tmp_path / "a.onnx", inputs=inputs), BackboneError)
    assert "input_ids (float32, any x 77)" in told
    assert "CLIPVisionModelWithProjection" in told


@pytest.mark.parametrize(
    ("shape", "kind", "words"),
    [
        (("n", 4, SIDE, SIDE), TensorProto.FLOAT, "3 channels"),
        (("n", 3, 5, 3), TensorProto.FLOAT, "layout = NCHW or NHWC"),
        (("n", "c", "h", "w"), TensorProto.FLOAT, "layout = NCHW or NHWC"),
        (("n", 3, SIDE), TensorProto.FLOAT, "takes pixels (float32, any x 3 x 8)"),
        (("n", 3, SIDE, SIDE), TensorProto.INT64, "takes pixels (int64"),
        (("n", 3, 100_000, 100_000), TensorProto.FLOAT, "at most 4096 px"),
    ],
)
def test_an_input_that_is_no_batch_of_images(
    tmp_path: Path, shape: tuple[Any, ...], kind: int, words: str
) -> None:
    file = make_onnx(tmp_path / "a.onnx", shape=shape, kind=kind)
    assert words in refused(file, BackboneError)


def test_weights_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    """As in files of before 2019."""
    inputs: dict[str, list[Any]] = {"pixels": ["n", 3, SIDE, SIDE], "kernel": [CHANNELS, 3, 2, 2]}
    file = make_onnx(tmp_path / "a.onnx", inputs=inputs)
    assert BackboneSpec(f"onnx:{file}", scaling="tf").resolve().input_size == SIDE


@pytest.mark.parametrize(
    ("metadata", "scaling"),
    [
        ({"scaling": "0.485,0.456,0.406/0.229,0.224,0.225"}, "torch"),
        ({"scaling": "0.5/0.25"}, "0.5,0.5,0.5/0.25,0.25,0.25"),
        ({"Image.NominalPixelRange": "Normalized_1_1"}, "tf"),
        (
            {"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"},
            "none:bgr",
        ),
    ],
)
def test_metadata_tell_the_scaling(tmp_path: Path, metadata: dict[str, str], scaling: str) -> None:
    file = make_onnx(tmp_path / "a.onnx", metadata=metadata)
    assert BackboneSpec(f"onnx:{file}").resolve().scaling == scaling
    assert BackboneSpec(f"onnx:{file}", scaling="caffe").resolve().scaling == "caffe"


def test_nobody_guesses_a_scaling(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx", metadata={"Image.BitmapPixelFormat": "Rgb8"})
    assert "does not tell how pixels become its input" in refused(file, BackboneError, scaling=None)
    for wrong in ("imagenet", "0.5", "0.5/0", "1,2/1", "nan/1", "x/y", "caffe:bgr"):
        assert "takes tf, torch, caffe, none" in refused(file, ConfigError, scaling=wrong)
    odd = make_onnx(tmp_path / "b.onnx", metadata={"scaling": "imagenet"})
    assert "have a scaling that is none" in refused(odd, BackboneError, scaling=None)


def test_metadata_tell_the_layout(tmp_path: Path) -> None:
    file = make_onnx(tmp_path / "a.onnx", shape=("n", "c", "h", "w"), metadata={"layout": "NCHW"})
    assert BackboneSpec(f"onnx:{file}", scaling="tf", input_size=SIDE).resolve().input_size == SIDE


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alpha": 0.5}, "leave alpha out"),
        ({"layer": "conv"}, "leave layer out"),
        ({"weights": "random"}, "leave weights out"),
        ({"runtime": "keras"}, "run by onnxruntime or openvino"),
        ({"runtime": "torch"}, "run by onnxruntime or openvino"),
        ({"precision": "float16"}, "in float32, bfloat16 or int8"),
        ({"pooling": "own"}, "leave pooling out"),
        ({"input_size": 224}, "takes images of 8 x 8 px only"),
    ],
)
def test_options_of_other_backbones(tmp_path: Path, settings: dict[str, Any], words: str) -> None:
    assert words in refused(make_onnx(tmp_path / "a.onnx"), BackboneError, **settings)


def test_options_of_onnx_files_do_not_go_with_others() -> None:
    for settings in ({"scaling": "tf"}, {"output": "x"}, {"pooling": "cls"}):
        with pytest.raises(BackboneError):
            BackboneSpec("mobilenet", **settings).resolve()  # type: ignore[arg-type]


def test_a_moved_file_is_the_same_backbone(tmp_path: Path) -> None:
    first = make_onnx(tmp_path / "a.onnx")
    spec = BackboneSpec(f"onnx:{first}", scaling="tf")
    fingerprint = spec.fingerprint()
    moved = first.rename(tmp_path / "b.onnx")
    assert BackboneSpec(f"onnx:{moved}", scaling="tf").fingerprint() == fingerprint
    assert BackboneSpec(f"onnx:{moved}", scaling="0.5/0.5").fingerprint() != fingerprint
    resolved = BackboneSpec(f"onnx:{moved}", scaling="tf").resolve()
    assert resolved.resolve() == resolved
    assert resolved.default_source_classes() == "none"
    assert resolved.label() == "onnx_b (8 px, map, scaling tf)"
