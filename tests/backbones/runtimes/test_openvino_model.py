"""OpenVINO computes what Keras computes, from a network that is converted once and kept."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import LIMIT, PROJECT

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.runtimes import conversion, keras_model
from retrain_cli.backbones.runtimes.conversion import ConversionError, convert_backbone
from retrain_cli.backbones.runtimes.kept_models import find_kept_model
from retrain_cli.backbones.runtimes.openvino_model import OpenvinoBackbone
from retrain_cli.backbones.runtimes.quantisation import quantise
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError, DatasetError, MissingExtraError, WeightsError
from retrain_cli.images.decode import decode_image

SPEC = BackboneSpec(
    "mobilenet",
    alpha=0.25,
    weights="random",
    input_size=64,
    precision="float32",
    runtime="openvino",
).resolve()


def noise(count: int, size: int = 64) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (count, size, size, 3), np.uint8)


def least_cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return float(((ours * theirs).sum(1) / norms).min())


def on_keras(spec: BackboneSpec) -> BackboneSpec:
    return replace(spec, precision="float32", runtime="keras", model=None)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the small network, converted."""
    folder = tmp_path_factory.mktemp("models")
    convert_backbone(SPEC, folder)
    return folder


def settled(models: Path, spec: BackboneSpec = SPEC) -> BackboneSpec:
    kept = find_kept_model(models, spec)
    assert kept is not None
    return replace(spec, model=kept.digest)


@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_number_of_images_gives_the_vectors_of_keras(models: Path, count: int) -> None:
    backbone = load_backbone(settled(models), models=models)
    assert isinstance(backbone, OpenvinoBackbone)
    assert (backbone.width, backbone.input_size, backbone.device) == (256, (64, 64), "cpu:0")
    images = noise(count)
    vectors = backbone(images)
    assert (vectors.dtype, vectors.shape) == (np.dtype(np.float32), (count, 256))
    expected = load_backbone(on_keras(SPEC), "cpu")(images)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


FIRST_CALLS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from retrain_cli.backbones.runtimes.kept_models import KeptModel
from retrain_cli.backbones.runtimes.openvino_model import OpenvinoBackbone
backbone = OpenvinoBackbone(KeptModel(Path(sys.argv[1]), ""), "float32")
images = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), np.uint8)
with ThreadPoolExecutor(2) as threads:
    one, other = threads.map(backbone, [images, images])
assert np.array_equal(one, other)
"""


def test_the_first_calls_may_run_side_by_side(models: Path) -> None:
    kept = find_kept_model(models, settled(models))
    assert kept is not None
    for _ in range(4):  # OpenVINO's bindings deadlocked in one of ten
        command = [sys.executable, "-c", FIRST_CALLS, str(kept.folder)]
        subprocess.run(command, check=True, timeout=LIMIT)


def test_no_images(models: Path) -> None:
    assert load_backbone(settled(models), models=models)(noise(0)).shape == (0, 256)


def test_bfloat16_is_near_and_shares_the_converted_network(models: Path) -> None:
    spec = settled(models, replace(SPEC, precision="bfloat16"))
    assert spec.model == settled(models).model
    assert spec.fingerprint() != settled(models).fingerprint()
    vectors = load_backbone(spec, models=models)(noise(4))
    assert least_cosine(vectors, load_backbone(on_keras(SPEC), "cpu")(noise(4))) > 0.999


def test_the_digest_does_not_depend_on_what_was_built_before(models: Path, tmp_path: Path) -> None:
    load_backbone(on_keras(SPEC), "cpu")  # Keras goes on counting its layers
    assert convert_backbone(SPEC, tmp_path).digest == settled(models).model


def test_a_network_that_is_built_already_is_not_built_again(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = keras_model.build_network(on_keras(SPEC))
    monkeypatch.delattr(keras_model, "build_network")
    assert convert_backbone(SPEC, tmp_path, network).digest == settled(models).model


def test_other_weights_are_another_model(models: Path, tmp_path: Path) -> None:
    other = replace(SPEC, pooling="max")
    assert find_kept_model(models, other) is None
    assert convert_backbone(other, tmp_path).digest != settled(models).model


def test_a_lost_model_is_converted_again(models: Path, tmp_path: Path) -> None:
    backbone = load_backbone(settled(models), models=tmp_path)
    np.testing.assert_array_equal(
        backbone(noise(2)), load_backbone(settled(models), models=models)(noise(2))
    )
    with pytest.raises(WeightsError, match="which is not kept"):
        load_backbone(replace(SPEC, model="0" * 16), models=tmp_path)
    with pytest.raises(WeightsError, match="which is not kept"):
        load_backbone(settled(models), models=None)


def test_a_damaged_model_is_told(models: Path, tmp_path: Path) -> None:
    convert_backbone(SPEC, tmp_path)
    (weights,) = tmp_path.rglob("model.bin")
    data = bytearray(weights.read_bytes())
    data[1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged: delete that folder"):
        load_backbone(settled(tmp_path), models=tmp_path)


def test_a_wrong_conversion_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_agreement", lambda backbone, xml: 0.9)
    with pytest.raises(ConversionError, match=r"cosine to Keras's vectors only 0\.9000"):
        convert_backbone(SPEC, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_is_refused(models: Path) -> None:
    with pytest.raises(ConfigError, match="device='gpu' cannot be"):
        load_backbone(settled(models), "gpu", models)


def test_a_kept_model_needs_no_keras_and_nobody_is_told(models: Path) -> None:
    spec = settled(models)
    code = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from retrain_cli.backbones.loader import load_backbone\n"
        "from retrain_cli.backbones.spec import BackboneSpec\n"
        f"spec = BackboneSpec.from_dict({spec.to_dict()!r})\n"
        f"backbone = load_backbone(spec, models=Path({str(models)!r}))\n"
        "assert backbone(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 256)\n"
        "seen = {'keras', 'tensorflow', 'openvino_telemetry.main'} & set(sys.modules)\n"
        "sys.exit(sorted(seen) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_8_bits_need_photos_and_the_extra(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = find_kept_model(models, SPEC)
    assert base is not None
    monkeypatch.setattr("retrain_cli.backbones.runtimes.quantisation.find_spec", lambda name: name)
    with pytest.raises(DatasetError, match="at least 10 photos of yours, and 3 can be read"):
        quantise(base, replace(SPEC, precision="int8"), tmp_path, lambda: list(noise(3)))
    monkeypatch.setattr("retrain_cli.backbones.runtimes.quantisation.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"retrain-cli\[fast-cpu\]"):
        quantise(base, replace(SPEC, precision="int8"), tmp_path, lambda: list(noise(20)))


@pytest.fixture(scope="module")
def real(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Inception v3 up to mixed8 at 128 px: the spec, where it is converted, photos, vectors."""
    weights = test_data / "weights" / "inception_v3_2015_mixed8.weights.h5"
    spec = BackboneSpec("inception_v3", layer="mixed8", weights=str(weights), input_size=128)
    files = sorted((test_data / "data" / "caltech101" / "pizza").iterdir())[:24]
    photos = np.stack([decode_image(file.read_bytes(), (128, 128)) for file in files])
    folder = tmp_path_factory.mktemp("real")
    spec = replace(spec, precision="float32", runtime="openvino").resolve()
    convert_backbone(spec, folder)
    return spec, folder, photos, load_backbone(on_keras(spec), "cpu")(photos)


@pytest.mark.real
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999), ("bfloat16", 0.999)])
def test_real_weights(real: Any, precision: str, least: float) -> None:
    spec, folder, photos, expected = real
    spec = settled(folder, replace(spec, precision=precision))
    assert least_cosine(load_backbone(spec, models=folder)(photos), expected) > least


@pytest.mark.real
def test_real_weights_in_8_bits(real: Any, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("nncf")
    spec, folder, photos, expected = real
    base = find_kept_model(folder, spec)
    spec = replace(spec, precision="int8")
    assert base is not None
    kept = quantise(base, spec, folder, lambda: list(photos[:12]))
    assert kept.digest != base.digest
    assert settled(folder, spec).model == kept.digest
    vectors = load_backbone(settled(folder, spec), models=folder)(photos)
    assert least_cosine(vectors, expected) > 0.99
    assert capfd.readouterr() == ("", "")
