"""The ways from a photo to a heatmap, one class each, all of them behind one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import Backbone, BackboneLoader
from retrain_cli.backbones.maps.map_layout import MapLayout
from retrain_cli.backbones.maps.mapped_backbone import MappedBackbone, load_mapped
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.explaining.gradients import GradientNetwork
from retrain_cli.explaining.heatmap import Method
from retrain_cli.explaining.occlusion import N_PLACES, PLACES, OccludingBackbone
from retrain_cli.explaining.slopes import Slopes
from retrain_cli.heads.head import Head
from retrain_cli.workspace import Workspace

Rows = NDArray[np.float32]
Grids = list[tuple[str, NDArray[np.float64]]]
"""The name of a layer, and its grid `(n, rows, columns)`; an empty name where there is but one."""

MapLoader = Callable[[BackboneSpec, str], MappedBackbone]


@dataclass(frozen=True, eq=False)
class Asked:
    """What a heatmap is wanted of: a class of each photo, or what sets it off from another.

    Attributes:
        classes: `(n,)`, the class.
        against: `(n,)`, the class that it is set off from, or None.
        slopes: the logit, or the difference of both, as a weighted sum.
    """

    classes: NDArray[np.int64]
    against: NDArray[np.int64] | None
    slopes: Slopes


class HeatmapMaker(Protocol):
    """A way to make heatmaps."""

    def load(self, spec: BackboneSpec, device: str) -> Backbone:
        """A backbone whose rows hold all that a heatmap takes."""
        ...

    def vectors(self, rows: Rows) -> Rows:
        """The bottlenecks in these rows."""
        ...

    def grids(self, rows: Rows, asked: Asked) -> Grids:
        """A grid a layer of each photo."""
        ...


class CamMaker:
    """Class activation maps: exact, at the price of the forward pass."""

    def __init__(self, load: MapLoader) -> None:
        self._load_maps = load
        self._layout: MapLayout | None = None

    def load(self, spec: BackboneSpec, device: str) -> Backbone:
        """The backbone with its maps."""
        mapped = self._load_maps(spec, device)
        self._layout = mapped.layout
        return mapped

    def vectors(self, rows: Rows) -> Rows:
        """See `HeatmapMaker`."""
        return self.layout.split(rows)[0]

    def grids(self, rows: Rows, asked: Asked) -> Grids:
        """See `HeatmapMaker`."""
        layout = self.layout
        found = layout.evidence(layout.split(rows)[1], asked.slopes.weights)
        return list(zip(layout.layers, found, strict=True))

    @property
    def layout(self) -> MapLayout:
        """What stands where in a row."""
        assert self._layout is not None, "the backbone is loaded before the first row comes"
        return self._layout


class _WithPixels:
    """A backbone whose rows end with the pixels of the photo."""

    def __init__(self, backbone: MappedBackbone) -> None:
        self._backbone = backbone
        height, width = backbone.input_size
        self.width = backbone.width + 3 * height * width
        self.input_size = backbone.input_size
        self.device = backbone.device
        self.any_batch_size = backbone.any_batch_size
        self.batches_at_once = backbone.batches_at_once

    def __call__(self, images: NDArray[np.uint8]) -> Rows:
        flat = images.reshape(len(images), -1).astype(np.float32)
        return np.concatenate([self._backbone(images), flat], axis=1)


class LayercamMaker:
    """LayerCAM at an earlier layer: finer, and by a gradient.

    Args:
        load: loads the backbone with its maps.
        layer: of which layer; None for the last finer one.
        fused: whether it is multiplied by the class activation map.
    """

    def __init__(self, load: MapLoader, layer: str | None, *, fused: bool) -> None:
        self._cam = CamMaker(load)
        self._layer, self._fused = layer, fused
        self._network: GradientNetwork | None = None
        self._side = (0, 0)

    def load(self, spec: BackboneSpec, device: str) -> Backbone:
        """See `HeatmapMaker`."""
        self._network = GradientNetwork(spec.resolve(), self._layer)
        mapped = self._cam.load(spec, device)
        assert isinstance(mapped, MappedBackbone)
        self._side = mapped.input_size
        return _WithPixels(mapped)

    def vectors(self, rows: Rows) -> Rows:
        """See `HeatmapMaker`."""
        return self._cam.vectors(rows)

    def grids(self, rows: Rows, asked: Asked) -> Grids:
        """See `HeatmapMaker`."""
        assert self._network is not None
        n_pixels = 3 * self._side[0] * self._side[1]
        images = rows[:, -n_pixels:].astype(np.uint8).reshape(-1, *self._side, 3)
        fine = self._network.layercam(images, asked.slopes.weights)
        if not self._fused:
            return [(self._network.layer, fine)]
        coarse = self._cam.grids(rows, asked)[-1][1]
        return [("", fine * np.maximum(enlarged(coarse, fine.shape[1:]), 0))]


class OcclusionMaker:
    """What the logit loses when a place is covered.

    Args:
        load: loads the plain backbone.
        head: the head that is asked.
    """

    def __init__(self, load: BackboneLoader, head: Head) -> None:
        self._load_plain, self._head = load, head

    def load(self, spec: BackboneSpec, device: str) -> Backbone:
        """See `HeatmapMaker`."""
        return OccludingBackbone(self._load_plain(spec, device))

    def vectors(self, rows: Rows) -> Rows:
        """See `HeatmapMaker`."""
        return rows[:, : rows.shape[1] // (1 + N_PLACES)]

    def grids(self, rows: Rows, asked: Asked) -> Grids:
        """See `HeatmapMaker`."""
        every = rows.reshape(len(rows) * (1 + N_PLACES), -1)
        logits = self._head.logits(every).reshape(len(rows), 1 + N_PLACES, -1).astype(np.float64)
        places = np.arange(len(rows))
        score = logits[places, :, asked.classes]
        if asked.against is not None:
            score = score - logits[places, :, asked.against]
        return [("", (score[:, :1] - score[:, 1:]).reshape(-1, PLACES, PLACES))]


def enlarged(grids: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Grids `(n, rows, columns)` interpolated to another number of fields."""
    from retrain_cli.images.placement import Placement

    square = Placement((1, 1), (0.0, 0.0, 1.0, 1.0))
    return np.stack([square.drawn(grid, (size[1], size[0])) for grid in grids]).astype(np.float64)


def maker_of(
    method: Method, layer: str | None, head: Head, workspace: Workspace, plain: BackboneLoader
) -> Any:
    """The way of a method."""

    def load(spec: BackboneSpec, device: str) -> MappedBackbone:
        return load_mapped(spec, device, workspace)

    if method == "cam":
        return CamMaker(load)
    if method == "occlusion":
        return OcclusionMaker(plain, head)
    return LayercamMaker(load, layer, fused=method == "fused")
