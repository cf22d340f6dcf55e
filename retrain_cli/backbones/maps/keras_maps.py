"""The feature maps of a backbone that Keras runs, and the gradients at one of its layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrain_cli.backbones.maps.map_layout import MapShape, no_map
from retrain_cli.backbones.runtimes.keras_model import (
    KerasModelBackbone,
    build_network,
    maps_of_pixels,
    pooled_maps,
)
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_keras, on_device, quiet_engine


def build_keras_maps(
    spec: BackboneSpec, *devices: str
) -> tuple[KerasModelBackbone, tuple[MapShape, ...]]:
    """A backbone whose vectors have the maps behind them, and the shape of each layer's map.

    Args:
        spec: a row of the table, resolved, on Keras.
        devices: as of `build_keras_backbone`.

    Raises:
        BackboneError: a layer gives a vector, which has no places.
        RetrainError: as `build_keras_backbone`.
    """
    keras = load_keras()
    with on_device(devices[0]), quiet_engine():
        network = build_network(spec)
        images, whole = maps_of_pixels(network, spec)
        names = spec.layers or (None,)
        for one, name in zip(whole, names, strict=True):
            if len(one.shape) != 4:
                raise no_map(spec, f"{name or 'its last layer'} gives a vector")
        vectors = pooled_maps(whole, spec)
        flat = [
            keras.ops.reshape(one, (-1, int(np.prod(one.shape[1:]))))
            for one in whole
        ]  # fmt: skip
        model = keras.Model(images, keras.ops.concatenate([*vectors, *flat], axis=-1))
        return KerasModelBackbone(model, devices), tuple(_shape(one) for one in whole)


def _shape(features: Any) -> MapShape:
    rows, columns, depth = features.shape[1:]
    return int(rows), int(columns), int(depth)
