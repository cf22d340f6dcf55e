"""Colours for numbers: equal steps of a number are steps that look equal.

Both scales are drawn through a few colours in Oklab (B. Ottosson, "A perceptual color space for
image processing", 2020), in which a distance is a difference that one sees, and cut there into 255
steps of one length. The lightness never turns back, so they can be read without colour vision and
in print.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_SEQUENTIAL = ("#0b0724", "#4a0f72", "#a2216b", "#e2543c", "#fba31b", "#fbf7a6")
_AGAINST, _NEUTRAL, _FOR = ("#2f7fd6", "#123a66"), "#16161a", ("#7a3108", "#f08a24")

_TO_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
])  # fmt: skip
_TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
])  # fmt: skip


@cache
def sequential() -> NDArray[np.uint8]:
    """From nothing to the most, dark to light: `(255, 3) uint8` sRGB."""
    return _even(_SEQUENTIAL)


@cache
def diverging() -> NDArray[np.uint8]:
    """From the most against (blue) by nothing (dark) to the most for (orange)."""
    return np.concatenate([
        _even((*_AGAINST, _NEUTRAL), 128)[:-1],
        _even((_NEUTRAL, *_FOR), 128),
    ])  # fmt: skip


def _even(colours: tuple[str, ...], steps: int = 255) -> NDArray[np.uint8]:
    """Colours at equal distances on the way through some."""
    corners = to_oklab(np.array([_parsed(colour) for colour in colours]))
    fine = np.linspace(0, len(corners) - 1, 4096)
    way = np.stack([np.interp(fine, range(len(corners)), axis) for axis in corners.T], axis=1)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    even = np.linspace(0, length[-1], steps)
    chosen = np.stack([np.interp(even, length, axis) for axis in way.T], axis=1)
    return np.clip(_to_srgb(chosen) + 0.5, 0, 255).astype(np.uint8)


def _parsed(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue


def to_oklab(colours: NDArray[np.integer]) -> NDArray[np.float64]:
    """SRGB of 0 to 255 as Oklab, along the last axis."""
    share = colours / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T)


def _to_srgb(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    cones = (colours @ np.linalg.inv(_TO_LAB).T) ** 3
    linear = np.clip(cones @ np.linalg.inv(_TO_CONES).T, 0, 1)
    share = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(share * 255)
