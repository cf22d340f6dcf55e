"""The backbone's own classifier: found in weight files, held to the same network, equal to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from retrain_cli.backbones.source_top import load_source_top
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KERAS_BACKBONES
from retrain_cli.engine import load_keras
from retrain_cli.errors import BackboneError, WeightsError

WIDTH, N_CLASSES = 256, 7  # MobileNet of alpha 0.25
Layers = dict[str, list[np.ndarray]]


def network(seed: int = 0) -> Layers:
    generator = np.random.default_rng(seed)
    shapes = {"conv2d": (3, 3, 3, 8), "conv2d_1": (1, 1, 8, WIDTH)}
    return {name: [generator.normal(size=shape)] for name, shape in shapes.items()}


def classifier(*shape: int) -> Layers:
    generator = np.random.default_rng(9)
    return {"dense": [generator.normal(size=shape), generator.normal(size=shape[-1])]}


def save(path: Path, layers: Layers) -> Path:
    with h5py.File(path, "w") as file:
        for name, arrays in layers.items():
            for number, array in enumerate(arrays):
                file[f"layers/{name}/vars/{number}"] = array.astype(np.float32)
    return path


def spec_of(path: Path) -> BackboneSpec:
    return BackboneSpec("mobilenet", alpha=0.25, weights=str(path))


@pytest.mark.parametrize("shape", [(WIDTH, N_CLASSES), (1, 1, WIDTH, N_CLASSES)])
def test_the_last_layer_is_found(tmp_path: Path, shape: tuple[int, ...]) -> None:
    top = classifier(*shape)
    whole = save(tmp_path / "whole.weights.h5", network() | top)
    bare = save(tmp_path / "bare.weights.h5", network())
    for found in (
        load_source_top(spec_of(whole), N_CLASSES),
        load_source_top(spec_of(bare), N_CLASSES, whole),
    ):
        np.testing.assert_array_equal(
            found.weights, top["dense"][0].reshape(WIDTH, N_CLASSES).astype(np.float32)
        )
        np.testing.assert_array_equal(found.bias, top["dense"][1].astype(np.float32))


def test_a_file_without_a_classifier_says_what_is_needed(tmp_path: Path) -> None:
    bare = save(tmp_path / "bare.weights.h5", network())
    with pytest.raises(WeightsError, match="same network with its top as top='FILE'"):
        load_source_top(spec_of(bare), N_CLASSES)
    odd = save(tmp_path / "odd.weights.h5", network() | classifier(WIDTH, N_CLASSES + 1))
    with pytest.raises(WeightsError, match="none for 7 source classes"):
        load_source_top(spec_of(bare), N_CLASSES, odd)
    narrow = save(tmp_path / "narrow.weights.h5", network() | classifier(WIDTH - 1, N_CLASSES))
    with pytest.raises(WeightsError, match="same network with its top"):
        load_source_top(spec_of(narrow), N_CLASSES)
    with pytest.raises(WeightsError, match="is no file"):
        load_source_top(spec_of(bare), N_CLASSES, tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(WeightsError, match=r"^top takes an intact file of weights"):
        load_source_top(spec_of(bare), N_CLASSES, tmp_path / "text.h5")


def test_the_classifier_of_another_network_is_refused(tmp_path: Path) -> None:
    bare = save(tmp_path / "bare.weights.h5", network())
    other = save(tmp_path / "other.h5", network(1) | classifier(WIDTH, N_CLASSES))
    with pytest.raises(WeightsError, match=r"2 of the 2 layers of bare\.weights\.h5 are not in"):
        load_source_top(spec_of(bare), N_CLASSES, other)
    between = {"dense_0": [np.ones((WIDTH, WIDTH))]}
    deep = save(tmp_path / "deep.h5", network() | between | classifier(WIDTH, N_CLASSES))
    with pytest.raises(WeightsError, match="has 1 more"):
        load_source_top(spec_of(bare), N_CLASSES, deep)


@pytest.mark.parametrize(
    "changes",
    [{"pooling": "max"}, {"layer": "conv_pw_3"}, {"weights": "random"}],
    ids=lambda changes: next(iter(changes)),
)
def test_bottlenecks_that_no_classifier_takes(changes: dict[str, Any]) -> None:
    with pytest.raises(BackboneError, match="works on the mean of its last layer"):
        load_source_top(BackboneSpec("mobilenet", **changes), 1000)


@pytest.mark.parametrize(
    "name", ["xception", "resnet50", "mobilenet", "mobilenet_v2", "efficientnet_v2_b0"]
)
def test_the_file_with_top_is_that_of_keras(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = load_keras()
    from keras.src.utils import file_utils

    asked: list[tuple[str, str]] = []

    class AskedError(Exception):
        pass

    def record(fname: str, origin: str, **_: Any) -> str:
        asked.append((fname, origin))
        raise AskedError

    monkeypatch.setattr(file_utils, "get_file", record)
    row = KERAS_BACKBONES[name]
    with pytest.raises(AskedError):
        getattr(keras.applications, row.builder.partition(":")[2])(weights="imagenet")
    published = row.published_weights(None, row.input_size).with_top
    assert asked == [(published.file_name, published.url)]


@pytest.mark.real
def test_scores_from_bottlenecks_are_those_of_the_whole_network(test_data: Path) -> None:
    from retrain_cli.backbones.runtimes.keras_model import build_keras_backbone
    from retrain_cli.datasets.source_classes import load_source_classes
    from retrain_cli.heads.surgery.source_head import read_source_head
    from retrain_cli.images.decode import decode_image

    weights = test_data / "weights"
    whole_file = weights / "mobilenet_v2_1.0_224.weights.h5"
    notop = weights / "mobilenet_v2_1.0_224_notop.weights.h5"
    spec = BackboneSpec("mobilenet_v2", weights=str(notop)).resolve().settled_on_own()
    photos = [
        next((test_data / "data/caltech101" / c).iterdir()) for c in ("dalmatian", "starfish")
    ]
    pixels = np.stack([decode_image(p.read_bytes(), (224, 224), "squash") for p in photos])
    head = read_source_head(spec, load_source_classes("imagenet"), whole_file)
    ours = head.probabilities(build_keras_backbone(spec, "cpu:0")(pixels))

    keras = load_keras()
    whole = keras.applications.MobileNetV2(weights=None)
    whole.load_weights(whole_file)
    theirs = whole.predict(pixels / np.float32(127.5) - 1, verbose=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    assert [head.labels[i] for i in ours.argmax(axis=1)] == ["n02110341", "n02317335"]
