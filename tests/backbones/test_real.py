"""Real pre-trained weights: every file loads and computes what Keras computes from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_keras
from retrain_cli.errors import WeightsError
from retrain_cli.images.decode import decode_image

pytestmark = pytest.mark.real

INCEPTION = "inception_v3_2015_mixed8.weights.h5"
WITH_TOP = "mobilenet_v2_1.0_224.weights.h5"
NO_TOP = "mobilenet_v2_1.0_224_notop.weights.h5"
LEGACY = "mobilenet_2_5_224_tf_no_top.h5"
SIZE = 96


def spec_for(file: str, folder: Path) -> BackboneSpec:
    specs = {
        INCEPTION: BackboneSpec("inception_v3", layer="mixed8"),
        WITH_TOP: BackboneSpec("mobilenet_v2"),
        NO_TOP: BackboneSpec("mobilenet_v2"),
        LEGACY: BackboneSpec("mobilenet", alpha=0.25),
    }
    return replace(specs[file], weights=str(folder / "weights" / file), input_size=SIZE)


def direct_model(file: str, path: Path) -> Any:
    """What the weights' own description says to do, with Keras alone."""
    keras = load_keras()
    apps = keras.applications
    shape = {"input_shape": (SIZE, SIZE, 3), "include_top": False, "weights": None}
    if file == INCEPTION:
        base = apps.InceptionV3(**shape)
        base = keras.Model(base.input, base.get_layer("mixed8").output)
    elif file == WITH_TOP:
        full = apps.MobileNetV2(weights=None, input_shape=(SIZE, SIZE, 3))
        full.load_weights(path)
        return keras.Model(full.input, full.get_layer("out_relu").output)
    elif file == NO_TOP:
        base = apps.MobileNetV2(**shape)
    else:
        base = apps.MobileNet(alpha=0.25, **shape)
    base.load_weights(path)
    return base


@pytest.fixture(scope="module")
def photos(test_data: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    files = sorted((test_data / "data" / "caltech101" / "pizza").iterdir())[:4]
    return np.stack([decode_image(file.read_bytes(), (SIZE, SIZE)) for file in files])


@pytest.mark.parametrize("file", [INCEPTION, WITH_TOP, NO_TOP, LEGACY])
def test_each_file_gives_the_vectors_that_keras_gives(
    file: str, test_data: Path, photos: np.ndarray[Any, np.dtype[np.uint8]]
) -> None:
    spec = spec_for(file, test_data)
    vectors = load_backbone(spec, "cpu")(photos)
    direct = direct_model(file, Path(spec.weights))
    expected = np.asarray(direct(photos / np.float32(127.5) - 1, training=False)).mean(axis=(1, 2))
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-4)
    drawn = load_backbone(replace(spec, weights="random"), "cpu")(photos)
    assert np.corrcoef(vectors.ravel(), drawn.ravel())[0, 1] < 0.5


@pytest.mark.parametrize(
    ("spec", "file"),
    [
        (BackboneSpec("inception_v3"), INCEPTION),  # the layers above mixed8 are not in the file
        (BackboneSpec("inception_v3", layer="mixed8"), NO_TOP),
        (BackboneSpec("mobilenet_v2", alpha=0.5), WITH_TOP),
        (BackboneSpec("mobilenet"), LEGACY),
        (BackboneSpec("mobilenet_v2"), LEGACY),
    ],
)
def test_another_architecture_is_refused(spec: BackboneSpec, file: str, test_data: Path) -> None:
    path = test_data / "weights" / file
    with pytest.raises(WeightsError, match=f"must fit {spec.name}, and .*it holds") as caught:
        load_backbone(replace(spec, weights=str(path), input_size=SIZE), "cpu")
    assert "\n" not in str(caught.value)


def test_a_layer_below_those_in_the_file(test_data: Path) -> None:
    """The file holds mixed8; mixed5 needs a part of it only."""
    spec = replace(spec_for(INCEPTION, test_data), layer="mixed5")
    images = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    assert load_backbone(spec, "cpu")(images).shape == (1, 768)
