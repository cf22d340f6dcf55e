"""The table against the Keras that is installed: addresses, hashes, widths, scaling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from retrain_cli.backbones.runtimes import keras_model
from retrain_cli.backbones.table import DEFAULT_BACKBONE, KERAS_BACKBONES, find_backbone
from retrain_cli.engine import load_keras
from retrain_cli.errors import BackboneError

CASES = [
    (row.name, variant.alpha)
    for row in KERAS_BACKBONES.values()
    if row.builder.startswith("keras.applications:")
    for variant in row.variants
]

MODULES = {
    "inception_v3": "inception_v3",
    "vgg16": "vgg16",
    "densenet121": "densenet",
    "mobilenet_v3_small": "mobilenet_v3",
}


def test_the_default_is_in_the_table() -> None:
    assert find_backbone(DEFAULT_BACKBONE).input_size == 299
    with pytest.raises(BackboneError, match="resnet50 or resnet101"):
        find_backbone("resnet")


@pytest.mark.parametrize(("name", "alpha"), CASES)
def test_weights_and_width_are_those_of_keras(
    name: str, alpha: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras = load_keras()
    asked: list[tuple[str, str, str | None]] = []

    def record(fname: str, origin: str, file_hash: str | None = None, **_: Any) -> str:
        asked.append((fname, origin, file_hash))
        return ""

    from keras.src.utils import file_utils

    monkeypatch.setattr(file_utils, "get_file", record)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_args, **_options: None)
    row = find_backbone(name)
    size = row.weight_sizes[0] if row.weight_sizes else row.input_size
    options = {} if alpha is None else {"alpha": alpha}
    constructor = getattr(keras.applications, row.builder.partition(":")[2])
    model = constructor(
        weights="imagenet", include_top=False, input_shape=(size, size, 3), **options
    )
    published = row.published_weights(alpha, size)
    assert asked == [(published.file_name, published.url, published.digest)]
    assert model.output_shape[-1] == row.variant(alpha).width


def test_an_odd_input_size_takes_the_largest_weights() -> None:
    row = find_backbone("mobilenet_v2")
    assert row.published_weights(0.35, 96).file_name.endswith("_0.35_96_no_top.h5")
    assert row.published_weights(0.35, 100).file_name.endswith("_0.35_224_no_top.h5")


@pytest.mark.parametrize("name", MODULES)
def test_scaling_is_keras_preprocess_input(name: str) -> None:
    keras = load_keras()
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    module = getattr(keras.applications, MODULES[name])
    expected = module.preprocess_input(images.astype(np.float32))
    scaled = keras_model.scale_pixels(
        keras.ops, keras.ops.convert_to_tensor(images), find_backbone(name).scaling
    )
    np.testing.assert_allclose(keras.ops.convert_to_numpy(scaled), expected, atol=1e-5)
