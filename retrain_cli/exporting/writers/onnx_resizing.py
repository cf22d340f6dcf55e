"""The resize rule as nodes of an ONNX graph, so that it takes pixels of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrain_cli.images.resizing import LETTERBOX_GREY

_PREFIX = "retrain_resize_"


def take_any_size(onnx: Any, model: Any, size: tuple[int, int], rule: str) -> None:
    """Let the input `images` be `(batch, height, width, 3) uint8` of any height and width.

    Args:
        onnx: the package.
        model: its input is of one size so far; it is changed in place.
        size: (height, width) that the network takes.
        rule: see `images.resizing.ResizeRule`.
    """
    graph = model.graph
    inner = f"{_PREFIX}pixels"
    for node in graph.node:
        node.input[:] = [inner if name == "images" else name for name in node.input]
    nodes = _Nodes(onnx)
    nodes.resized(size, rule, inner)
    old = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes.made, *old])
    graph.initializer.extend(nodes.constants)
    shape = graph.input[0].type.tensor_type.shape
    shape.dim[1].dim_param, shape.dim[2].dim_param = "height", "width"


class _Nodes:
    """Nodes in the making, each with one output that is named by a number."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.made: list[Any] = []
        self.constants: list[Any] = []

    def add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """The name of what a new node gives."""
        if "to_kind" in attributes:  # the attribute `to` of Cast
            attributes["to"] = attributes.pop("to_kind")
        output = to or f"{_PREFIX}{len(self.made)}"
        made = self._onnx.helper.make_node(
            kind, [*inputs], [output], f"{_PREFIX}{kind}_{len(self.made)}", **attributes
        )
        self.made.append(made)
        return output

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """The name of a new constant."""
        name = f"{_PREFIX}constant_{len(self.constants)}"
        array = np.asarray(values, kind)
        self.constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def resized(self, size: tuple[int, int], rule: str, to: str) -> None:
        """From `images` to `to`: antialiased, rounded, 8 bits."""
        kinds = self._onnx.TensorProto
        name, *details = rule.split()
        mode = "cubic" if "bicubic" in details else "linear"
        whole = self.add("Transpose", "images", perm=[0, 3, 1, 2])
        numbers = self.add("Cast", whole, to_kind=kinds.FLOAT)
        extent = self._extent(whole)
        inner = self.constant(size, np.int64)
        if name == "crop":
            numbers = self._cropped(numbers, extent, size, float(details[0]) if details else 1.0)
        elif name == "letterbox":
            inner = self._fitted(extent, size)
        front = self.add("Shape", whole, start=0, end=2)
        goal = self.add("Concat", front, inner, axis=0)
        small = self.add("Resize", numbers, "", "", goal, mode=mode, antialias=1)
        rounded = self.add("Round", small)
        clipped = self.add("Clip", rounded, self.constant(0.0), self.constant(255.0))
        if name == "letterbox":
            clipped = self._padded(clipped, inner, size)
        rows = self.add("Transpose", clipped, perm=[0, 2, 3, 1])
        self.add("Cast", rows, to=to, to_kind=kinds.UINT8)

    def _extent(self, whole: str) -> str:
        """(height, width) of what comes in, as float32."""
        shape = self.add("Shape", whole, start=2, end=4)
        return self.add("Cast", shape, to_kind=self._onnx.TensorProto.FLOAT)

    def _cropped(self, numbers: str, extent: str, size: Sequence[int], share: float) -> str:
        """The centre, on whole pixels."""
        kind = self._onnx.TensorProto.INT64
        goal = self.constant(size)
        ratio = self.add("ReduceMin", self.add("Div", extent, goal), keepdims=1)
        box = self.add("Mul", self.add("Mul", goal, ratio), self.constant(share))
        room = self.add("Div", self.add("Sub", extent, box), self.constant(2.0))
        start = self.add("Cast", self.add("Round", room), to_kind=kind)
        length = self.add("Cast", self.add("Round", box), to_kind=kind)
        end = self.add("Add", start, length)
        return self.add("Slice", numbers, start, end, self.constant([2, 3], np.int64))

    def _fitted(self, extent: str, size: Sequence[int]) -> str:
        """(height, width) of what fits inside, as int64."""
        ratio = self.add("Div", self.constant(size), extent)
        scale = self.add("ReduceMin", ratio, keepdims=1)
        wanted = self.add("Round", self.add("Mul", extent, scale))
        least = self.add("Max", wanted, self.constant(1.0))
        return self.add("Cast", least, to_kind=self._onnx.TensorProto.INT64)

    def _padded(self, pixels: str, inner: str, size: Sequence[int]) -> str:
        left_over = self.add("Sub", self.constant(size, np.int64), inner)
        before = self.add("Div", left_over, self.constant(2, np.int64))
        after = self.add("Sub", left_over, before)
        pads = self.add("Concat", before, after, axis=0)
        axes = self.constant([2, 3], np.int64)
        return self.add("Pad", pixels, pads, self.constant(float(LETTERBOX_GREY)), axes)
