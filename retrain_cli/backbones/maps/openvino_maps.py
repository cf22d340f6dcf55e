"""The feature maps of a converted network: the graph is told to give them, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.backbones.maps.map_layout import MapShape, no_map
from retrain_cli.backbones.runtimes.openvino_model import (
    OpenvinoBackbone,
    build_openvino_backbone,
)
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import load_openvino

_POOLING = {"ReduceMean", "ReduceMax"}
_PASSED_OVER = {"Convert", "Squeeze", "Reshape", "Unsqueeze"}
"""What may stand between the pooling and the end of the network, and changes no number."""


def build_openvino_maps(
    spec: BackboneSpec, models: Path
) -> tuple[OpenvinoBackbone, tuple[MapShape, ...]]:
    """A backbone whose vectors have the maps behind them, and the shape of each layer's map.

    Raises:
        BackboneError: a part of the bottleneck was not pooled from a map.
        RetrainError: as `build_openvino_backbone`.
    """
    shapes: list[MapShape] = []

    def change(model: Any) -> Any:
        changed, found = with_maps(model, spec)
        shapes.extend(found)
        return changed

    return build_openvino_backbone(spec, models, change), tuple(shapes)


def with_maps(model: Any, spec: BackboneSpec) -> tuple[Any, tuple[MapShape, ...]]:
    """A model whose only output is the bottleneck with the maps behind it, in a row.

    Args:
        model: a kept model of OpenVINO.
        spec: what it was converted from, resolved.

    Returns:
        The model, and the shape of each layer's map.

    Raises:
        BackboneError: a part of the bottleneck was not pooled from a map.
    """
    from openvino import opset13

    end = model.output(0).node.input_value(0)
    last = end.get_node()
    joined = len(spec.layers) > 1 and last.get_type_name() == "Concat"
    ends = list(last.input_values()) if joined else [end]
    maps = [_map_below(one, spec) for one in ends]
    shapes = tuple(_shape(one) for one in maps)
    flat = [
        opset13.reshape(opset13.convert(one, "f32"), np.array([0, -1]), special_zero=True)
        for one in maps
    ]
    whole = opset13.concat([opset13.convert(end, "f32"), *flat], 1)
    return load_openvino().Model([opset13.result(whole)], model.get_parameters(), "maps"), shapes


def _map_below(end: Any, spec: BackboneSpec) -> Any:
    """The map (n, height, width, channels) that was pooled to what stands at `end`."""
    from openvino import opset13

    node = end.get_node()
    while node.get_type_name() in _PASSED_OVER and _rank(node.input_value(0)) in (2, 4):
        if spec.pooling == "none" and _rank(node.input_value(0)) == 4:
            return node.input_value(0)  # a map that is put into a row stands channels last
        node = node.input_value(0).get_node()
    below = node.input_value(0) if node.get_input_size() else None
    if node.get_type_name() not in _POOLING or below is None or _rank(below) != 4:
        raise no_map(spec, f"it ends with the operation {node.get_type_name()}")
    axes = _pooled_axes(node)
    if axes == [1, 2]:
        return below
    if axes != [2, 3]:
        raise no_map(spec, f"it is pooled over the axes {axes}")
    return opset13.transpose(below, np.array([0, 2, 3, 1])).output(0)


def _pooled_axes(node: Any) -> list[int]:
    """Over which axes of a map an operation pools; some files compute them from its shape."""
    told = node.input_value(1).get_node()
    if told.get_type_name() == "Constant":
        return sorted(int(axis) % 4 for axis in np.ravel(told.get_data()))
    lengths = list(node.input_value(0).get_partial_shape())[1:]
    left = [axis for axis in list(node.get_output_partial_shape(0))[1:] if str(axis) != "1"]
    kept = [axis for axis, length in enumerate(lengths, 1) if [str(length)] == [*map(str, left)]]
    return [axis for axis in (1, 2, 3) if axis not in kept[:1]]


def _rank(value: Any) -> int:
    shape = value.get_partial_shape()
    return int(shape.rank.get_length()) if shape.rank.is_static else 0


def _shape(value: Any) -> MapShape:
    rows, columns, depth = (axis.get_length() for axis in list(value.get_partial_shape())[1:])
    return int(rows), int(columns), int(depth)
