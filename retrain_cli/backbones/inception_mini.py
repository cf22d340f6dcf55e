"""The bundled backbone: a small Inception-style network that comes with the package.

It follows the design of Szegedy et al., "Rethinking the Inception architecture for computer
vision" (CVPR 2016), at a fortieth of the computation: a convolutional stem, mixed blocks of
four branches, and reductions that halve the grid. `docs/inception_mini.md` says how it was trained
and what it reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.engine import load_keras

INPUT_SIZE = 128
WIDTH = 512

DATA = Path(__file__).parent / "data"
WEIGHTS_FILE = DATA / "inception_mini.weights.h5"
CLASSES_FILE = DATA / "inception_mini_classes.csv"


@dataclass(frozen=True)
class MixedWidths:
    """Channels of a mixed block's four branches; it gives out `single + triple + double + pool`.

    Attributes:
        single: the 1x1 branch.
        triple_in: 1x1 ahead of the 3x3 branch.
        triple: the 3x3 branch.
        double_in: 1x1 ahead of the double 3x3 branch.
        double: both convolutions of the double 3x3 branch.
        pool: 1x1 after the average pool.
    """

    single: int
    triple_in: int
    triple: int
    double_in: int
    double: int
    pool: int


@dataclass(frozen=True)
class ReductionWidths:
    """Channels of a reduction's two convolutional branches; its third is a max pool.

    Attributes:
        triple_in: 1x1 ahead of the strided 3x3.
        triple: the strided 3x3.
        double_in: 1x1 ahead of the double 3x3.
        double: both convolutions of the double 3x3, the second one strided.
    """

    triple_in: int
    triple: int
    double_in: int
    double: int


STEM = ((16, 2), (24, 1), (48, 2), (64, 1))  # (channels, stride) of 3x3 convolutions
BLOCKS: tuple[MixedWidths | ReductionWidths, ...] = (
    MixedWidths(40, 32, 56, 24, 40, 24),
    ReductionWidths(48, 80, 32, 48),
    MixedWidths(96, 56, 96, 40, 64, 48),
    MixedWidths(96, 56, 96, 40, 64, 48),
    MixedWidths(96, 56, 96, 40, 64, 48),
    MixedWidths(96, 56, 96, 40, 64, 48),
    ReductionWidths(80, 104, 48, 64),
    MixedWidths(144, 72, 128, 56, 88, 88),
    MixedWidths(160, 88, 160, 64, 96, 96),
)


def build_inception_mini(input_size: int = INPUT_SIZE) -> Any:
    """Build the network without a classifier, with random weights.

    Args:
        input_size: height and width of the input in pixels; 128 is what it was trained with.

    Returns:
        A `keras.Model` from `(n, input_size, input_size, 3)` RGB in [-1, 1] to feature maps
        `(n, input_size / 32, input_size / 32, 512)`; their mean over the grid is the bottleneck.
    """
    keras = load_keras()
    pixels = keras.Input((input_size, input_size, 3), name="pixels")
    x = _stem(pixels)
    for number, widths in enumerate(BLOCKS, start=1):
        name = f"block{number}"
        if isinstance(widths, MixedWidths):
            x = _mixed(x, widths, name)
        else:
            x = _reduction(x, widths, name)
    return keras.Model(pixels, x, name="inception_mini")


def _stem(pixels: Any) -> Any:
    """Four 3x3 convolutions and a max pool: an eighth of the input's height and width."""
    x = pixels
    for number, (channels, stride) in enumerate(STEM, start=1):
        x = _conv(x, channels, 3, stride, f"stem{number}")
    return _pool("MaxPooling2D", x, 2, "stem_pool")


def _mixed(x: Any, widths: MixedWidths, name: str) -> Any:
    """Branches of 1x1, 3x3, double 3x3 and pooling, side by side."""
    single = _conv(x, widths.single, 1, 1, f"{name}_single")
    triple = _conv(x, widths.triple_in, 1, 1, f"{name}_triple1")
    triple = _conv(triple, widths.triple, 3, 1, f"{name}_triple2")
    double = _conv(x, widths.double_in, 1, 1, f"{name}_double1")
    double = _conv(double, widths.double, 3, 1, f"{name}_double2")
    double = _conv(double, widths.double, 3, 1, f"{name}_double3")
    pool = _pool("AveragePooling2D", x, 1, f"{name}_average")
    pool = _conv(pool, widths.pool, 1, 1, f"{name}_pool")
    return load_keras().layers.Concatenate(name=name)([single, triple, double, pool])


def _reduction(x: Any, widths: ReductionWidths, name: str) -> Any:
    """Strided 3x3, strided double 3x3 and max pooling, side by side: half the height and width."""
    triple = _conv(x, widths.triple_in, 1, 1, f"{name}_triple1")
    triple = _conv(triple, widths.triple, 3, 2, f"{name}_triple2")
    double = _conv(x, widths.double_in, 1, 1, f"{name}_double1")
    double = _conv(double, widths.double, 3, 1, f"{name}_double2")
    double = _conv(double, widths.double, 3, 2, f"{name}_double3")
    pool = _pool("MaxPooling2D", x, 2, f"{name}_max")
    return load_keras().layers.Concatenate(name=name)([triple, double, pool])


def _conv(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    """Convolution without bias, batch normalisation, ReLU."""
    layers = load_keras().layers
    x = layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        name=f"{name}_conv",
    )(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    return layers.ReLU(name=name)(x)


def _pool(kind: str, x: Any, stride: int, name: str) -> Any:
    """3x3 pooling that keeps the grid (stride 1) or halves it (stride 2)."""
    layer = getattr(load_keras().layers, kind)
    return layer(3, stride, padding="same", data_format="channels_last", name=name)(x)
