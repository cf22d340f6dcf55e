"""The feature map of a SavedModel that ends with one."""

from __future__ import annotations

from typing import Any

from retrain_cli.backbones.maps.map_layout import MapShape, no_map
from retrain_cli.backbones.runtimes.saved_model import (
    SavedModelBackbone,
    build_saved_model_backbone,
    pool_map,
)
from retrain_cli.backbones.spec import BackboneSpec, Pooling
from retrain_cli.engine import load_tensorflow


def build_hub_maps(
    spec: BackboneSpec, device: str
) -> tuple[SavedModelBackbone, tuple[MapShape, ...]]:
    """A backbone whose vectors have the map behind them, and the map's shape.

    Args:
        spec: a SavedModel, resolved and trusted.
        device: a device of Keras.

    Raises:
        BackboneError: it gives a vector, which has no places.
        RetrainError: as `build_saved_model_backbone`.
    """
    shapes: list[MapShape] = []

    def with_map(features: Any, pooling: Pooling) -> Any:
        tensorflow = load_tensorflow()
        rows, columns, depth = features.shape.as_list()[1:]
        if None in (rows, columns, depth):
            raise no_map(spec, "it does not tell the size of its map")
        shapes[:] = [(rows, columns, depth)]
        flat = tensorflow.reshape(features, (-1, rows * columns * depth))
        return tensorflow.concat([pool_map(features, pooling), flat], axis=1)

    backbone = build_saved_model_backbone(spec, device, with_map)
    if not shapes:
        raise no_map(spec, "it gives a vector")
    return backbone, tuple(shapes)
