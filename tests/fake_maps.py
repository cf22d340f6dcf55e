"""A backbone without an engine whose bottleneck is the mean of a feature map."""

from __future__ import annotations

import numpy as np
from helpers import FakeBackbone
from numpy.typing import NDArray

from retrain_cli.backbones.maps.map_layout import MapLayout
from retrain_cli.backbones.maps.mapped_backbone import MappedBackbone
from retrain_cli.backbones.spec import BackboneSpec

SIDE, WIDTH = 8, 32


class FakeMaps(FakeBackbone):
    """The colour of each of 8 x 8 fields, thrown on 32 channels; the bottleneck is their mean."""

    def __init__(self, *, with_maps: bool) -> None:
        super().__init__()
        projection = np.random.default_rng(3).normal(size=(3, WIDTH))
        self._colours = projection.astype(np.float32)
        self._with_maps = with_maps

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        blocks = images.reshape(len(images), SIDE, 4, SIDE, 4, 3).mean(axis=(2, 4))
        maps = np.maximum((blocks / 127.5 - 1.0) @ self._colours, 0).astype(np.float32)
        vectors = maps.mean(axis=(1, 2))
        parts = [vectors, maps.reshape(len(images), -1)] if self._with_maps else [vectors]
        return np.concatenate(parts, axis=1)


def load_fake(spec: BackboneSpec, device: str) -> MappedBackbone:
    """It with its maps."""
    return MappedBackbone(FakeMaps(with_maps=True), MapLayout(((SIDE, SIDE, WIDTH),), "avg", ("",)))
