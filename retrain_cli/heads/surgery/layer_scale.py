"""Several layers side by side: each is brought to one scale for training, and back out of the head.

What one layer gives is as large as that network happens to make it. In training, every number has
mean 0, and the numbers of a layer have a mean square of 1; what varies more within a layer stays
larger, for it was found to tell more. The head takes over both at the end, so that everything that
comes after it sees bottlenecks as they are in the cache.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.mapped import aligned_matrix, mapped_matrix
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head

_CHUNK_VALUES = 8_000_000


@dataclass(frozen=True, eq=False)
class LayerScale:
    """How bottlenecks of several layers are brought to one scale.

    Attributes:
        mean: `(width,) float64`, of each number over the training images.
        deviation: `(width,) float64`, root of the mean square about it, one value a layer; 1 for a
            layer that does not vary.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, data: HeadData) -> LayerScale:
        """By the training images of the data."""
        count = max(1, len(data.training))
        origin = data.bottlenecks[data.training[0]].astype(np.float64)
        total, squares = np.zeros((2, data.width))
        size = max(1, _CHUNK_VALUES // max(1, data.width))
        for start in range(0, len(data.training), size):
            moved = data.bottlenecks[data.training[start : start + size]] - origin
            total += moved.sum(axis=0)
            squares += np.einsum("ij,ij->j", moved, moved)
        variance = np.maximum(squares / count - (total / count) ** 2, 0)
        ends = np.cumsum(data.layer_widths)[:-1]
        roots = [float(np.sqrt(part.mean())) for part in np.split(variance, ends)]
        each = [root if root > 0 else 1.0 for root in roots]
        return cls(origin + total / count, np.repeat(each, data.layer_widths))

    def applied(self, data: HeadData) -> HeadData:
        """The data with its bottlenecks on one scale, a copy: in a file where they are in one."""
        whole = data.bottlenecks
        rows, width = whole.shape
        if isinstance(whole, np.memmap):
            scaled = mapped_matrix(Path(tempfile.gettempdir()), rows, width)
        else:
            scaled = aligned_matrix(rows, width)
        size = max(1, _CHUNK_VALUES // max(1, width))
        for start in range(0, rows, size):
            chunk = slice(start, start + size)
            scaled[chunk] = (whole[chunk] - self.mean) / self.deviation
        return replace(data, bottlenecks=scaled, layer_widths=())

    def folded(self, head: Head) -> Head:
        """A head trained on scaled bottlenecks as one that takes them as they are."""
        weights = head.weights / self.deviation[:, None]
        bias = head.bias - self.mean @ weights
        return Head(head.labels, weights.astype(np.float32), bias.astype(np.float32))

    def unfolded(self, head: Head) -> Head:
        """The inverse of `folded`."""
        weights = head.weights.astype(np.float64)
        bias = head.bias + self.mean @ weights
        scaled = weights * self.deviation[:, None]
        return Head(head.labels, scaled.astype(np.float32), bias.astype(np.float32))
