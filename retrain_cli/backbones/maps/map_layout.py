"""How a bottleneck and the feature maps that it was pooled from stand in one row of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.spec import BackboneSpec, Pooling
from retrain_cli.errors import BackboneError, setting

MapShape = tuple[int, int, int]
"""(height, width, channels) of a feature map."""

_TOLERANCE = 1e-3
"""Of the largest number of a bottleneck: what the pooled map may be off it. Measured: 1e-6."""


@dataclass(frozen=True)
class MapLayout:
    """What stands where in a row: the bottleneck, then the maps of its layers.

    Attributes:
        shapes: of each layer's map, in the order of the bottleneck's parts.
        pooling: how a map becomes a part of the bottleneck: avg, max or none.
        layers: the name of each layer; one empty name where it is the backbone's last one.
    """

    shapes: tuple[MapShape, ...]
    pooling: Pooling
    layers: tuple[str, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """How much of the bottleneck each layer gives."""
        whole = self.pooling == "none"
        return tuple(rows * columns * depth if whole else depth
                     for rows, columns, depth in self.shapes)  # fmt: skip

    @property
    def width(self) -> int:
        """Length of the bottleneck."""
        return sum(self.widths)

    def split(
        self, rows: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """Rows as bottlenecks `(n, width)` and a map `(n, height, width, channels)` a layer."""
        maps, start = [], self.width
        for shape in self.shapes:
            end = start + int(np.prod(shape))
            maps.append(rows[:, start:end].reshape(len(rows), *shape))
            start = end
        return rows[:, : self.width], maps

    def evidence(
        self, maps: Sequence[NDArray[np.float32]], weights: NDArray[np.float32]
    ) -> list[NDArray[np.float64]]:
        """Where a weighted sum of the bottleneck comes from.

        The means of the grids of a photo add up to the sum: with `avg` a field counts as it is;
        with `max` a channel counts where its largest number is; with `none` each number has a
        weight of its own. This is the class activation mapping of B. Zhou et al., "Learning deep
        features for discriminative localization", 2016.

        Args:
            maps: as `split` gives them.
            weights: `(n, width)`, of the numbers of each photo's bottleneck.

        Returns:
            A grid `(n, height, width)` a layer.
        """
        ends = np.cumsum(self.widths)[:-1]
        parts = np.split(weights, ends, axis=1)
        return [
            _evidence(one, part, self.pooling) for one, part in zip(maps, parts, strict=True)
        ]  # fmt: skip

    def check(self, rows: NDArray[np.float32], spec: BackboneSpec) -> None:
        """Pool the maps, and compare that with the bottlenecks.

        Raises:
            BackboneError: the bottleneck is something else than the pooled maps.
        """
        vectors, maps = self.split(rows)
        pooled = np.concatenate([_pooled(one, self.pooling) for one in maps], axis=1)
        off = np.abs(pooled - vectors).max() / max(float(np.abs(vectors).max()), 1e-6)
        if not off < _TOLERANCE:
            raise no_map(spec, "its bottleneck is more than a pooled feature map")


def no_map(spec: BackboneSpec, reason: str) -> BackboneError:
    """Why a heatmap of this backbone cannot be made of its feature map."""
    return BackboneError(
        f"{setting('method', 'cam')} takes a backbone whose bottleneck is a pooled feature map "
        f"(height, width, channels), and {spec.label()} is none ({reason}): take "
        f"{setting('method', 'occlusion')}, which works with any"
    )


def _evidence(
    maps: NDArray[np.float32], weights: NDArray[np.float32], pooling: Pooling
) -> NDArray[np.float64]:
    count, rows, columns, depth = maps.shape
    if pooling == "avg":
        found = np.matmul(maps.reshape(count, -1, depth), weights[:, :, np.newaxis])
        return np.asarray(found.reshape(count, rows, columns), np.float64)
    if pooling == "none":
        shaped = weights.reshape(maps.shape)
        return np.asarray((maps * shaped).sum(axis=3, dtype=np.float64) * (rows * columns))
    flat = maps.reshape(count, -1, depth)
    largest = flat == flat.max(axis=1, keepdims=True)
    shares = largest / largest.sum(axis=1, keepdims=True)  # of equals each counts as much
    weighted = shares * (flat.max(axis=1) * weights)[:, np.newaxis, :]
    total = weighted.sum(axis=2, dtype=np.float64).reshape(count, rows, columns)
    return np.asarray(total * (rows * columns))


def _pooled(maps: NDArray[np.float32], pooling: Pooling) -> NDArray[np.float32]:
    if pooling == "none":
        return maps.reshape(len(maps), -1)
    return np.asarray(maps.max(axis=(1, 2)) if pooling == "max" else maps.mean(axis=(1, 2)))
