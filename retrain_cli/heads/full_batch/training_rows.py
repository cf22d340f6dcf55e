"""All training images at once, in chunks that memory holds, each with its weight in the loss.

The weights add up to one: equal for each class where batches are balanced, or where classes have
weights; else equal for each image. That is what the batches of the stochastic optimisers come to,
so one `--l2` means the same to all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.rows import fits_memory, vectors_of

_CHUNK_VALUES = 8_000_000  # vectors or scores of a chunk, 32 MB


class TrainingRows:
    """The training images of the data.

    Args:
        data: what to train on.
        config: the training settings.
        memory_limit: as of `train_head`.

    Attributes:
        data: as given.
        labels: `(n_training,) int32`.
        weights: `(n_training,) float64`, adding up to one.
    """

    def __init__(self, data: HeadData, config: TrainingConfig, memory_limit: int | None) -> None:
        self.data = data
        self.labels = data.labels[data.training]
        self.weights = image_weights(self.labels, config)
        self._table: NDArray[np.float32] | None = None
        if fits_memory(data, memory_limit):
            self._table = self.read(np.arange(len(self.labels)))

    def __len__(self) -> int:
        return len(self.labels)

    def chunks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Positions among the training images and their vectors, `(n, width)`; heeds Ctrl-C."""
        size = max(1, _CHUNK_VALUES // max(self.data.width, self.data.n_classes))
        for start in range(0, len(self), size):
            interrupts.check()
            rows = slice(start, start + size)
            if self._table is not None:
                yield rows, self._table[rows]
            else:
                yield rows, self._read(self.data.training[rows])

    def read(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some positions, a copy of `(n, width)`."""
        return self._read(self.data.training[positions])

    def _read(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return vectors_of(self.data, rows)

    @cached_property
    def moments(self) -> Moments:
        """Their moments, in one pass."""
        return Moments.of(self)


def image_weights(labels: NDArray[np.int32], config: TrainingConfig) -> NDArray[np.float64]:
    """The weight of each image in the loss, `(n_images,)`."""
    if config.balancing not in ("sampling", "weights"):
        return np.full(len(labels), 1 / len(labels))
    sizes = np.bincount(labels)
    weights: NDArray[np.float64] = 1 / (np.count_nonzero(sizes) * sizes[labels])
    return weights


@dataclass(frozen=True, eq=False)
class Moments:
    """Weighted means and products of bottlenecks x and one-hot labels y, about the means.

    Attributes:
        mean: `(width,)`, of the bottlenecks.
        shares: `(n_classes,)`, mean of the labels.
        scatter: `(width, width)`, `sum_i c_i (x_i - mean) (x_i - mean)^T`.
        cross: `(width, n_classes)`, `sum_i c_i (x_i - mean) (y_i - shares)^T`.
    """

    mean: NDArray[np.float64]
    shares: NDArray[np.float64]
    scatter: NDArray[np.float64]
    cross: NDArray[np.float64]

    @classmethod
    def of(cls, rows: TrainingRows) -> Moments:
        """One pass over the vectors; they are moved by the first of them, so no digits are lost."""
        width, n_classes = rows.data.width, rows.data.n_classes
        origin = rows.read(np.arange(1))[0].astype(np.float64)
        total, cross = np.zeros(width), np.zeros((width, n_classes))
        scatter = np.zeros((width, width))
        for places, vectors in rows.chunks():
            weight = rows.weights[places]
            moved = vectors - origin
            total += weight @ moved
            weighted = moved * weight[:, None]
            labels = rows.labels[places]
            order = np.argsort(labels, kind="stable")
            present, starts = np.unique(labels[order], return_index=True)
            cross[:, present] += np.add.reduceat(weighted[order], starts, axis=0).T
            scatter += weighted.T @ moved
        shares = np.bincount(rows.labels, rows.weights, n_classes).astype(np.float64)
        scatter -= np.outer(total, total)
        cross -= np.outer(total, shares)
        return cls(origin + total, shares, scatter, cross)
