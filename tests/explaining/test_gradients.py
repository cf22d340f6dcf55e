"""Gradients at an earlier layer, and what a layer sees, of a small network on Keras."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrain_cli.backbones.loader import load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import BackboneError
from retrain_cli.explaining.channels import ChannelBackbone
from retrain_cli.explaining.gradients import GradientNetwork

SPEC = BackboneSpec(
    "mobilenet", alpha=0.25, weights="random", input_size=32, precision="float32", runtime="keras"
).resolve()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)


def test_at_the_last_layer_layercam_is_what_raises_the_sum(images: np.ndarray) -> None:
    """There the gradient of a mean is the weight over the fields, so all can be told by hand."""
    network = GradientNetwork(SPEC, "conv_pw_13_relu")
    maps = network.activations(images)
    vectors = load_backbone(SPEC, "cpu")(images)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), vectors, rtol=1e-3, atol=1e-5)
    weights = np.random.default_rng(2).normal(size=vectors.shape).astype(np.float32)
    found = network.layercam(images, weights)
    fields = maps.shape[1] * maps.shape[2]
    wanted = (np.maximum(weights, 0)[:, None, None] * maps).sum(axis=3) / fields
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_the_usual_layer_is_the_last_finer_one(images: np.ndarray) -> None:
    network = GradientNetwork(SPEC)
    assert network.shape == (2, 2)
    assert network.layer == "conv_pw_11_relu"
    weights = np.ones((2, 256), np.float32)
    found = network.layercam(images, weights)
    assert found.shape == (2, 2, 2)
    assert (found >= 0).all()


def test_the_strongest_channels_of_two_networks(images: np.ndarray) -> None:
    first = GradientNetwork(SPEC, "first")
    assert first.layer == "conv1_relu"
    later = GradientNetwork(SPEC, "conv_pw_1_relu")
    asked = ChannelBackbone([("one", first), ("two", later)], 5, 32)
    rows = asked(images)
    assert rows.shape == (2, asked.width)
    maps = first.activations(images)
    for row, own in zip(rows, maps, strict=True):
        one, two = asked.channels(row)
        assert (one.network, two.network) == ("one", "two")
        means = own.mean(axis=(0, 1))
        assert list(one.numbers) == np.argsort(-means, kind="stable")[:5].tolist()
        np.testing.assert_allclose(one.grids[0], own[..., one.numbers[0]], rtol=1e-5)
        assert two.grids.shape == (5, 16, 16)
    few = ChannelBackbone([("one", first)], 1_000, 32)
    assert len(few.channels(few(images)[0])[0].numbers) == first.n_channels


def test_what_has_no_such_layer_is_refused() -> None:
    with pytest.raises(BackboneError, match="takes the name of one of the backbone's"):
        GradientNetwork(SPEC, "nonesuch")
    with pytest.raises(BackboneError, match="is none: take"):
        GradientNetwork(replace(SPEC, name="hub:/tmp/x"))
