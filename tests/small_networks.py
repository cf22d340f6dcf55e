"""Small networks with the parts that matter: a sum, a linear bottleneck, branches, a wide top."""

from __future__ import annotations

from typing import Any

from retrain_cli.backbones.weights import set_random_weights
from retrain_cli.engine import load_keras


def small_network(side: int = 8) -> Any:
    """Two inverted residual blocks and a last convolution, as MobileNetV2 has them."""
    keras = load_keras()
    layers = keras.layers
    pixels = keras.Input((side, side, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False, name="stem")(pixels)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = layers.Conv2D(4, 1, use_bias=False, name="block_0_project")(x)
    x = layers.BatchNormalization(name="block_0_project_norm")(x)
    y = layers.Conv2D(8, 1, use_bias=False, name="block_1_expand")(x)
    y = layers.BatchNormalization(name="block_1_expand_norm")(y)
    y = layers.ReLU(name="block_1_expand_relu")(y)
    y = layers.Conv2D(4, 1, use_bias=False, name="block_1_project")(y)
    y = layers.BatchNormalization(name="block_1_project_norm")(y)
    x = layers.Add(name="block_1_add")([x, y])
    x = layers.Conv2D(6, 1, use_bias=False, name="top")(x)
    x = layers.BatchNormalization(name="top_norm")(x)
    model = keras.Model(pixels, layers.ReLU(name="top_relu")(x))
    set_random_weights(model, 0)
    return model


def branched_network(side: int = 8) -> Any:
    """Two blocks of two branches each, as Inception has them."""
    keras = load_keras()
    layers = keras.layers
    x = pixels = keras.Input((side, side, 3))
    for block in range(2):
        left = layers.Conv2D(2, 1, name=f"left_{block}")(x)
        right = layers.Conv2D(3, 3, padding="same", name=f"right_{block}")(x)
        x = layers.Concatenate(name=f"mixed{block}")([left, right])
    return keras.Model(pixels, x)
