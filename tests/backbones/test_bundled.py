"""A row of the table that names a builder of its own and weights that come with the package."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from retrain_cli.backbones import spec as spec_module
from retrain_cli.backbones import table
from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import KerasBackbone, Variant
from retrain_cli.engine import load_keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def build_tiny(input_size: int) -> Any:
    keras = load_keras()
    inputs = keras.Input((input_size, input_size, 3))
    return keras.Model(inputs, keras.layers.Conv2D(6, 3, activation="relu")(inputs))


@pytest.fixture
def tiny_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = ModuleType("tiny_backbone")
    module.build = build_tiny  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiny_backbone", module)
    monkeypatch.setattr(spec_module, "_DATA_FOLDER", tmp_path)
    row = KerasBackbone(
        "tiny",
        "tiny_backbone:build",
        input_size=16,
        min_size=8,
        scaling="tf",
        variants=(Variant(6),),
        bundled="tiny.weights.h5",
        source_classes="tiny_classes.csv",
    )
    monkeypatch.setitem(table.KERAS_BACKBONES, "tiny", row)
    model = build_tiny(16)
    model.save_weights(tmp_path / "tiny.weights.h5")
    return model


def test_bundled_weights_are_the_default(tiny_row: Any, tmp_path: Path) -> None:
    spec = BackboneSpec("tiny").resolve()
    assert (spec.weights, spec.weights_file) == ("bundled", tmp_path / "tiny.weights.h5")
    assert spec.default_source_classes() == str(tmp_path / "tiny_classes.csv")
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    expected = tiny_row.predict_on_batch(images / np.float32(127.5) - 1).mean(axis=(1, 2))
    backbone = load_backbone(spec, "cpu")
    assert backbone.width == spec.width() == 6
    np.testing.assert_allclose(backbone(images), expected, rtol=1e-4, atol=1e-6)
    assert spec.fingerprint() != BackboneSpec("tiny", weights="random").fingerprint()
