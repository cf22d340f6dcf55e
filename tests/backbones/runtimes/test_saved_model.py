"""SavedModels as backbones: those that the test saves itself, and a filled TensorFlow Hub cache."""

from __future__ import annotations

import hashlib
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.backbones import loader
from retrain_cli.backbones.maps import mapped_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_tensorflow
from retrain_cli.errors import BackboneError, WeightsError
from retrain_cli.workspace import Workspace

load_backbone = partial(loader.load_backbone, trust_model=True)  # what these tests save themselves


def save(folder: Path, outputs: str, size: int | None = 8, signature: bool = True) -> Path:
    """A module that averages (or passes on) the image times a 3 x 5 matrix of ones to fives."""
    tf = load_tensorflow()
    spec = tf.TensorSpec((None, size, size, 3), tf.float32)

    class Module(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.kernel = tf.Variable(np.tile(np.arange(1, 6, dtype=np.float32), (3, 1)))

        @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def __call__(self, images: Any) -> Any:
            features = images @ self.kernel
            vectors = tf.reduce_mean(features, axis=(1, 2))
            return {
                "map": features,
                "vector": vectors,
                "dict": {"logits": vectors * 0, "feature_vector": vectors},
                "unclear": {"a": vectors, "b": vectors},
                "one": {"anything": vectors},
                "scalar": tf.reduce_mean(vectors),
            }[outputs]

    module = Module()
    signatures = {"serving_default": module.__call__} if signature else None
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


@pytest.mark.parametrize(
    ("outputs", "signature"),
    [("vector", False), ("map", False), ("map", True), ("dict", True), ("one", True)],
)
def test_every_form_of_output_gives_the_same_vectors(
    tmp_path: Path, outputs: str, signature: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = save(tmp_path / "m", "vector" if outputs == "vector" else outputs, signature=signature)
    capfd.readouterr()
    backbone = load_backbone(BackboneSpec(f"hub:{folder}"), "cpu")
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    vectors = backbone(images)
    assert (backbone.width, backbone.input_size) == (5, (8, 8))
    assert vectors.dtype == np.float32
    summed = (images / 255).mean(axis=(1, 2)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, summed * np.arange(1, 6), rtol=1e-5)
    assert capfd.readouterr() == ("", "")


def test_input_size_is_the_models_the_users_or_224(tmp_path: Path) -> None:
    free = f"hub:{save(tmp_path / 'free', 'map', size=None)}"
    fixed = f"hub:{save(tmp_path / 'fixed', 'map', size=8)}"
    assert load_backbone(BackboneSpec(free), "cpu").input_size == (224, 224)
    assert load_backbone(BackboneSpec(free, input_size=20), "cpu").input_size == (20, 20)
    with pytest.raises(BackboneError, match="8 x 8 px only, not input_size=20"):
        load_backbone(BackboneSpec(fixed, input_size=20), "cpu")


@pytest.mark.parametrize(
    ("outputs", "words"),
    [("unclear", "outputs a, b, none called feature_vector"), ("scalar", "one vector per image")],
)
def test_a_model_without_one_vector_per_image_is_refused(
    tmp_path: Path, outputs: str, words: str
) -> None:
    folder = save(tmp_path / "m", outputs, signature=outputs == "unclear")
    with pytest.raises(BackboneError, match=words) as caught:
        load_backbone(BackboneSpec(f"hub:{folder}"), "cpu")
    assert "\n" not in str(caught.value)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    folder = save(tmp_path / "m", "map")
    shutil.rmtree(folder / "variables")
    with pytest.raises(WeightsError, match="export or download it again") as caught:
        load_backbone(BackboneSpec(f"hub:{folder}"), "cpu")
    assert "\n" not in str(caught.value)


def test_a_handle_is_found_in_the_hub_cache_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    cached = "https://models.invalid/net/1"
    folder = save(tmp_path / hashlib.sha1(cached.encode()).hexdigest(), "map")
    spec = BackboneSpec(f"hub:{cached}")
    assert load_backbone(spec, "cpu").width == 5
    assert spec.fingerprint() == BackboneSpec(f"hub:{folder}").fingerprint()
    assert spec.slug().startswith("hub_net_1-")
    with pytest.raises(WeightsError) as caught:
        load_backbone(BackboneSpec("hub:https://models.invalid/net/2"), "cpu")
    for words in (
        "hub:https://models.invalid/net/2",
        str(tmp_path),
        "BackboneSpec.name='hub:FOLDER'",
    ):
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_map_at_the_end_has_places_and_a_vector_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_backbone, "is_trusted", lambda spec, workspace: True)
    workspace = Workspace(tmp_path)
    spec = BackboneSpec(f"hub:{save(tmp_path / 'map', 'map')}")
    mapped = mapped_backbone.load_mapped(spec, "cpu", workspace)
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    vectors, (maps,) = mapped.layout.split(mapped(images))
    wanted = (images / 255).sum(axis=3, keepdims=True) * np.arange(1, 6)
    np.testing.assert_allclose(maps, wanted, rtol=1e-5)
    np.testing.assert_allclose(vectors, wanted.mean(axis=(1, 2)), rtol=1e-5)
    vector = BackboneSpec(f"hub:{save(tmp_path / 'vector', 'vector')}")
    with pytest.raises(BackboneError, match=r"it gives a vector.*method='occlusion'"):
        mapped_backbone.load_mapped(vector, "cpu", workspace)
