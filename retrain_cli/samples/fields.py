"""Arithmetic on fields: arrays, most of them float32, with one value per pixel, `(height, width)`.

A shape is a signed distance field: negative inside, zero on the outline, positive outside. Shapes
are joined with `minimum`, cut with `maximum`, and their edges are smooth at any size. The formulas
are Inigo Quilez's (https://iquilezles.org/articles/distfunctions2d/).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Field: TypeAlias = npt.NDArray[np.floating[Any]]
Image: TypeAlias = npt.NDArray[np.floating[Any]]  # (height, width, 3), 0..1
Colour: TypeAlias = tuple[float, float, float]


def pixel_grid(height: int, width: int) -> tuple[Field, Field]:
    """The x (to the right) and y (downwards) of each pixel's centre, in pixels."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    return columns + np.float32(0.5), rows + np.float32(0.5)


def circle(x: Field, y: Field, radius: float) -> Field:
    """Distance to a circle around the origin."""
    return np.asarray(np.hypot(x, y) - radius, np.float32)


def ellipse(x: Field, y: Field, half_width: float, half_height: float) -> Field:
    """Distance to an ellipse around the origin; exact on the outline, approximate elsewhere."""
    inner = np.hypot(x / half_width, y / half_height)
    slope = np.hypot(x / half_width**2, y / half_height**2)
    return np.asarray(inner * (inner - 1) / np.maximum(slope, 1e-3), np.float32)


def box(x: Field, y: Field, half_width: float, half_height: float) -> Field:
    """Distance to an upright rectangle around the origin."""
    across, along = np.abs(x) - half_width, np.abs(y) - half_height
    outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    return np.asarray(outside + np.minimum(np.maximum(across, along), 0), np.float32)


def stroke(
    x: Field,
    y: Field,
    start: tuple[float, float],
    end: tuple[float, float],
    radius: float,
) -> Field:
    """Distance to a line from `start` to `end` with round ends and the given half thickness."""
    along_x, along_y = end[0] - start[0], end[1] - start[1]
    away_x, away_y = x - start[0], y - start[1]
    share = (away_x * along_x + away_y * along_y) / (along_x**2 + along_y**2)
    share = np.clip(share, 0, 1)
    return np.asarray(
        np.hypot(away_x - share * along_x, away_y - share * along_y) - radius, np.float32
    )


def polygon(x: Field, y: Field, corners: list[tuple[float, float]]) -> Field:
    """Distance to a convex polygon whose corners run anticlockwise (y upwards)."""
    distance = np.full_like(x, -np.inf)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = float(np.hypot(x1 - x0, y1 - y0))
        beyond = ((y1 - y0) * (x - x0) - (x1 - x0) * (y - y0)) / length
        distance = np.maximum(distance, beyond)
    return distance


def rotated(x: Field, y: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates of the same points in axes turned anticlockwise by `angle` radians."""
    cosine, sine = float(np.cos(angle)), float(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x


def coverage(distance: Field, pixels_per_unit: float) -> Field:
    """How much of each pixel a shape covers, 0..1."""
    return np.asarray(np.clip(0.5 - distance * pixels_per_unit, 0, 1), np.float32)


def mix(first: npt.ArrayLike, second: npt.ArrayLike, share: Field) -> Image:
    """Blend two colours or images; `share` is that of the second, 0..1."""
    first, second = np.asarray(first, np.float32), np.asarray(second, np.float32)
    return np.asarray(first + (second - first) * share[..., None], np.float32)


def ramp(field: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, smooth between (smoothstep)."""
    share = np.clip((field - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def blurred(array: Field, radius: int) -> Field:
    """Blur a field or image: two passes of a box, `radius` pixels to each side."""
    if radius < 1:
        return array
    for axis in (0, 1, 0, 1):
        array = _box_blurred(array, radius, axis)
    return array


def _box_blurred(array: Field, radius: int, axis: int) -> Field:
    padding = [(0, 0)] * array.ndim
    padding[axis] = (radius + 1, radius)
    sums = np.cumsum(np.pad(array, padding, mode="edge"), axis=axis, dtype=np.float64)
    size = 2 * radius + 1
    length = array.shape[axis]
    upper = np.take(sums, range(size, size + length), axis)
    lower = np.take(sums, range(length), axis)
    return ((upper - lower) / size).astype(np.float32)
