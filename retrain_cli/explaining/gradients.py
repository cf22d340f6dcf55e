"""Heatmaps of finer detail, by the gradient at an earlier layer; Keras computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.layer_names import canonical_names, find_layer, kind_of
from retrain_cli.backbones.runtimes.kept_models import converted_from
from retrain_cli.backbones.runtimes.keras_model import (
    build_network,
    pool_features,
    scale_pixels,
)
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.table import find_backbone
from retrain_cli.engine import load_keras, load_tensorflow, on_device, quiet_engine
from retrain_cli.errors import BackboneError, ConfigError, setting

_NO_DETAIL = ("ZeroPadding2D", "Dropout", "Cropping2D")
_ACTIVATIONS = ("ReLU", "Activation", "LeakyReLU", "PReLU", "ELU")
_FINER = 1.5
"""So many times the side of the last feature map is that of an earlier layer, at least."""

FIRST = "first"
"""Stands for the first layer that photos are filtered by."""


class GradientNetwork:
    """A backbone of the table on Keras, with the activations of one of its layers.

    Attributes:
        layer: that layer's name.
        shape: (height, width) of its map.
        n_channels: how many it has.
    """

    def __init__(self, spec: BackboneSpec, layer: str | None = None) -> None:
        """Build it.

        Args:
            spec: the backbone of a run, resolved.
            layer: a layer's name; None for the last one whose map is finer than the backbone's.

        Raises:
            BackboneError: it is no network of Keras, or has no such layer.
            ConfigError: Keras runs on an engine other than TensorFlow.
            RetrainError: as `load_backbone`.
        """
        keras = _keras_for(spec)
        own = converted_from(spec)
        with on_device("cpu:0"), quiet_engine():
            network = build_network(own)
            if layer in (None, FIRST):
                chosen = first_layer(network) if layer == FIRST else _finer_layer(network)
            else:
                chosen = find_layer(network, str(layer))
            self.layer = layer_name(network, chosen)
            if len(chosen.output.shape) != 4:
                raise BackboneError(
                    f"{setting('layer')} takes a layer with a feature map here, and {self.layer} "
                    "gives a vector: choose an earlier one"
                )
            maps = network.outputs
            self._model = keras.Model(network.inputs, [chosen.output, *maps])
        self._spec = own
        self.n_channels = int(chosen.output.shape[3])
        self.shape = (int(chosen.output.shape[1]), int(chosen.output.shape[2]))

    def activations(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the layer gives, `(n, height, width, channels)`, of `(n, side, side, 3) uint8`."""
        return np.asarray(self._model(self._scaled(images), training=False)[0], np.float32)

    def layercam(
        self, images: NDArray[np.uint8], weights: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Where activations are that would raise a weighted sum of the bottleneck.

        LayerCAM: each activation times its gradient where that is positive, over all channels;
        P.-T. Jiang et al., "LayerCAM: exploring hierarchical class activation maps for
        localization", 2021.

        Args:
            images: `(n, side, side, 3) uint8`.
            weights: `(n, width)`, of each photo's bottleneck; see `slopes_of`.

        Returns:
            `(n, height, width)`, 0 or more.
        """
        tensorflow, ops = load_tensorflow(), load_keras().ops
        with tensorflow.device("cpu:0"), tensorflow.GradientTape() as tape:
            pixels = self._scaled(images)
            tape.watch(pixels)
            early, *maps = self._model(pixels, training=False)
            vectors = [
                pool_features(ops, ops.cast(one, "float32"), self._spec.pooling, None)
                for one in maps
            ]
            total = ops.sum(ops.concatenate(vectors, axis=-1) * weights)
        slopes = tape.gradient(total, early)
        if slopes is None:
            raise BackboneError(
                f"{setting('layer')} takes a layer that the bottleneck is computed from, and "
                f"{self.layer} is none: choose another"
            )
        rising = np.maximum(np.asarray(slopes), 0) * np.asarray(early)
        return np.asarray(np.maximum(rising.sum(axis=3, dtype=np.float64), 0))

    def _scaled(self, images: NDArray[np.uint8]) -> Any:
        return scale_pixels(load_keras().ops, images, find_backbone(self._spec.name).scaling)


def _keras_for(spec: BackboneSpec) -> Any:
    """Keras, where it can differentiate this backbone."""
    if spec.kind != "table":
        raise BackboneError(
            f"{setting('method', 'layercam')} and fused take gradients, which Keras computes of "
            f"the backbones that `retrain doctor --backbones` lists, and {spec.label()} is none: "
            f"take {setting('method', 'cam')} or {setting('method', 'occlusion')}"
        )
    keras = load_keras()
    if keras.backend.backend() != "tensorflow":
        raise ConfigError(
            "layers are looked into by Keras on TensorFlow, and it runs on "
            f"{keras.backend.backend()}: unset KERAS_BACKEND, or take {setting('method', 'cam')}"
        )
    return keras


def layer_name(network: Any, layer: Any) -> str:
    """A layer's name as in a fresh process."""
    layers = [one for one in network.layers if kind_of(one) != "input_layer"]
    names = canonical_names([one.name for one in layers], {kind_of(one) for one in layers})
    return names[layers.index(layer)]


def first_layer(network: Any) -> Any:
    """The first activation behind a convolution; the first layer of a network without one."""
    kinds = [type(layer).__name__ for layer in network.layers]
    for layer, kind in zip(network.layers, kinds, strict=True):
        if kind in _ACTIVATIONS and len(layer.output.shape) == 4:
            return layer
    return next(layer for layer in network.layers if kind_of(layer) != "input_layer")


def _finer_layer(network: Any) -> Any:
    """The last layer with a finer map than the network ends with."""
    last = network.outputs[-1].shape
    if len(last) != 4:
        raise BackboneError(
            f"{setting('method', 'layercam')} takes a layer with a feature map, and the last one "
            f"gives a vector: name an earlier one as {setting('layer')}"
        )
    finer = [
        layer
        for layer in network.layers
        if kind_of(layer) != "input_layer"
        and type(layer).__name__ not in _NO_DETAIL
        and len(layer.output.shape) == 4
        and layer.output.shape[1] >= _FINER * last[1]
    ]
    if not finer:
        raise BackboneError(
            f"{setting('method', 'layercam')} takes a layer with a finer map than the last one, "
            f"and there is none: take {setting('method', 'cam')}"
        )
    return finer[-1]
