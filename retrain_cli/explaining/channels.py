"""The channels of a layer that answer most to a photo: what the network sees of it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.explaining.gradients import GradientNetwork


@dataclass(frozen=True, eq=False)
class LayerChannels:
    """The strongest channels of one layer for one photo.

    Attributes:
        network: which network it is, for people.
        layer: the layer.
        numbers: which channels, the strongest first.
        means: `(n,) float32`, of each the mean activation.
        grids: `(n, rows, columns) float32`, the activations.
    """

    network: str
    layer: str
    numbers: tuple[int, ...]
    means: NDArray[np.float32]
    grids: NDArray[np.float32]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        rows = zip(self.numbers, self.means.tolist(), self.grids, strict=True)
        return {
            "network": self.network,
            "layer": self.layer,
            "channels": [
                {
                    "channel": number,
                    "mean": mean,
                    "grid": [[float(f"{value:.5g}") for value in line] for line in grid],
                }
                for number, mean, grid in rows
            ],
        }


class ChannelBackbone:
    """Networks that are asked for the strongest channels of a layer, as a forward pass.

    Attributes:
        width: length of a row.
        input_size, device, any_batch_size, batches_at_once: see `Backbone`.

    Args:
        networks: with a name each, for people.
        count: channels of each; a layer that has fewer gives all.
        side: of the networks' input in pixels.
    """

    def __init__(
        self, networks: Sequence[tuple[str, GradientNetwork]], count: int, side: int
    ) -> None:
        self._networks = [(name, network, min(count, network.n_channels))
                          for name, network in networks]  # fmt: skip
        self.input_size = (side, side)
        self.device = "cpu:0"
        self.any_batch_size = True
        self.batches_at_once = 1
        self.width = sum(
            kept * (2 + network.shape[0] * network.shape[1]) for _, network, kept in self._networks
        )

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of a batch: (n, side, side, 3) uint8 RGB to (n, width) float32."""
        parts = [self._of(network, kept, images) for _, network, kept in self._networks]
        return np.concatenate(parts, axis=1)

    def _of(
        self, network: GradientNetwork, kept: int, images: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        maps = network.activations(images)
        means = maps.mean(axis=(1, 2))
        strongest = np.argsort(-np.abs(means), axis=1, kind="stable")[:, :kept]
        chosen = np.take_along_axis(maps, strongest[:, np.newaxis, np.newaxis, :], axis=3)
        flat = chosen.transpose(0, 3, 1, 2).reshape(len(images), -1)
        at_them = np.take_along_axis(means, strongest, axis=1)
        return np.concatenate([strongest.astype(np.float32), at_them, flat], axis=1)

    def channels(self, row: NDArray[np.float32]) -> tuple[LayerChannels, ...]:
        """What a row says of each network."""
        found, start = [], 0
        for name, network, kept in self._networks:
            end = start + kept * (2 + network.shape[0] * network.shape[1])
            numbers, means, flat = np.split(row[start:end], [kept, 2 * kept])
            found.append(
                LayerChannels(
                    name,
                    network.layer,
                    tuple(int(number) for number in numbers),
                    means,
                    flat.reshape(kept, *network.shape),
                )
            )
            start = end
        return tuple(found)
