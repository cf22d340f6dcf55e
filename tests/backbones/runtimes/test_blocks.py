"""Blocks are found by structure; several layers side by side are those of each alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrain_cli.backbones.layer_names import find_layer
from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.runtimes.blocks import MOST_BLOCKS, block_layers
from retrain_cli.backbones.runtimes.keras_model import build_without_weights
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_keras
from retrain_cli.errors import BackboneError

SMALL = BackboneSpec("mobilenet", alpha=0.25, weights="random", input_size=32)
TWO = replace(SMALL, layer="conv_pw_3_relu,conv_pw_6_relu")


def images(count: int = 3) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_two_layers_are_those_of_each_alone_side_by_side() -> None:
    backbone = load_backbone(TWO, "cpu")
    both = backbone(images())
    alone = [load_backbone(replace(SMALL, layer=name), "cpu")(images()) for name in TWO.layers]
    assert backbone.layer_widths == (32, 128)  # type: ignore[attr-defined]
    np.testing.assert_allclose(both, np.concatenate(alone, axis=1), rtol=1e-5, atol=1e-7)


def test_the_message_names_the_layer_that_is_wrong() -> None:
    wrong = replace(SMALL, layer="conv_pw_3_relu,conv_pw_13_rel")
    with pytest.raises(BackboneError, match=r"not 'conv_pw_13_rel': did you mean conv_pw_13_relu"):
        load_backbone(wrong, "cpu")


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("mobilenet_v2", ("block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu")),
        ("efficientnet_lite0", ("block2_expand", "block14_expand")),
        ("mobilenet", ("conv_pw_5_relu",)),  # no branches at all
    ],
)
def test_a_dozen_layers_are_found_and_the_last_one_is_the_networks(
    name: str, some: tuple[str, ...]
) -> None:
    spec = BackboneSpec(name, weights="random").resolve()
    names, network = block_layers(spec), build_without_weights(spec)
    assert len(set(names)) == len(names)
    assert 8 <= len(names) <= MOST_BLOCKS
    assert set(some) <= set(names)
    assert find_layer(network, names[-1]) is network.layers[-1]
    sides = [find_layer(network, one).output.shape[1] for one in names]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] <= spec.input_size / 3  # type: ignore[operator]


def test_weights_that_end_at_a_layer_end_the_blocks_too(tmp_path: Path) -> None:
    keras, network = load_keras(), build_without_weights(SMALL.resolve())
    part = keras.Model(network.inputs, find_layer(network, "conv_pw_6_relu").output)
    part.save_weights(tmp_path / "part.weights.h5")
    spec = replace(SMALL, weights=str(tmp_path / "part.weights.h5"), layer="conv_pw_6_relu")
    names = block_layers(spec.resolve())
    assert names[-1] == "conv_pw_6_relu"
    assert "conv_pw_7_relu" not in names
    load_backbone(replace(spec, layer=",".join(names)), "cpu")


@pytest.mark.parametrize("name", ["hub:/nowhere", "onnx:/nowhere.onnx", "timm:resnet18"])
def test_finished_networks_have_no_layers_to_choose_from(name: str) -> None:
    with pytest.raises(BackboneError, match="has no layers to choose from"):
        block_layers(BackboneSpec(name))
