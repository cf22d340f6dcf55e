"""Where the square that a network sees lies on the photo: the inverse of the resize rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.resizing import Box, Resizing, Size


@dataclass(frozen=True)
class Placement:
    """The network's input on the upright photo.

    Attributes:
        photo: (width, height) of the photo in pixels, upright.
        box: (left, top, right, bottom) in its pixels of all that the network sees. With `squash`
            it is the photo; with `crop` it lies within; with `letterbox` it reaches beyond, where
            the network sees grey.
    """

    photo: Size
    box: Box

    @classmethod
    def by_rule(cls, photo: Size, goal: Size, rule: str) -> Placement:
        """Undo a rule.

        Args:
            photo: (width, height) of the photo in pixels, upright.
            goal: (width, height) of the network's input in pixels.
            rule: see `resizing.ResizeRule`.
        """
        resizing = Resizing.by_rule(photo, goal, rule)
        left, top, right, bottom = resizing.box
        width, height = resizing.size
        a_column, a_row = (right - left) / width, (bottom - top) / height
        # `pad` puts an odd pixel of grey to the right and below.
        left -= (goal[0] - width) // 2 * a_column
        top -= (goal[1] - height) // 2 * a_row
        return cls(photo, (left, top, left + goal[0] * a_column, top + goal[1] * a_row))

    def drawn(self, grid: NDArray[np.floating], size: Size) -> NDArray[np.float32]:
        """A grid over the network's input, as it lies on the photo.

        In the middle of a field it is the field's number, and between the middles it goes smoothly
        from one to the other; what the network does not see of the photo is not a number.

        Args:
            grid: `(rows, columns)`, of equal fields that fill the network's input.
            size: (width, height) that the photo is drawn in.

        Returns:
            `(height, width) float32`.
        """
        left, top, right, bottom = self.box
        across = _weights(grid.shape[1], size[0], self.photo[0], (left, right))
        down = _weights(grid.shape[0], size[1], self.photo[1], (top, bottom))
        return np.asarray(down @ grid.astype(np.float32) @ across.T)

    def covered(self, size: Size) -> NDArray[np.bool_]:
        """Which pixels of a drawing of (width, height) the network sees, `(height, width) bool`."""
        return ~np.isnan(self.drawn(np.zeros((1, 1)), size))


@lru_cache(maxsize=64)  # photos of a camera are of one size
def _weights(
    fields: int, pixels: int, extent: int, span: tuple[float, float]
) -> NDArray[np.float32]:
    """How much of each field each pixel of a line takes, `(pixels, fields) float32`.

    Args:
        fields: of the grid in this direction.
        pixels: of the drawing.
        extent: of the photo, in its pixels.
        span: from where to where of the photo the grid reaches.
    """
    places = (np.arange(pixels) + 0.5) * extent / pixels
    share = (places - span[0]) / (span[1] - span[0])
    at = np.clip(share * fields - 0.5, 0, fields - 1)
    below = np.minimum(at.astype(int), max(fields - 2, 0))
    weights = np.zeros((pixels, fields), np.float32)
    rows = np.arange(pixels)
    way = at - below
    way = way * way * (3 - 2 * way)  # level at both ends, so that no edge shows where fields meet
    weights[rows, np.minimum(below + 1, fields - 1)] = way
    weights[rows, below] += (1 - way).astype(np.float32)
    weights[(share < 0) | (share > 1)] = np.nan
    weights.flags.writeable = False
    return weights
