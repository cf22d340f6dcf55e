"""The door to feature maps: a spec in, a backbone out that gives them behind each bottleneck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import Backbone
from retrain_cli.backbones.machine import check_on_processor
from retrain_cli.backbones.maps.map_layout import MapLayout, MapShape, no_map
from retrain_cli.backbones.spec import BackboneSpec, Pooling
from retrain_cli.backbones.trust import check_trusted, is_trusted
from retrain_cli.engine import choose_device, choose_devices
from retrain_cli.workspace import Workspace


class MappedBackbone:
    """A backbone whose vectors are rows of a `MapLayout`; `load_mapped` makes it.

    Attributes:
        layout: what stands where in a row.
        width: length of a row.
        input_size: (height, width) in pixels.
        device: such as "cpu:0".
        any_batch_size: see `Backbone`.
        batches_at_once: see `Backbone`.
    """

    def __init__(self, backbone: Backbone, layout: MapLayout) -> None:
        self._backbone = backbone
        self.layout = layout
        self.width = backbone.width
        self.input_size = backbone.input_size
        self.device = backbone.device
        self.any_batch_size = backbone.any_batch_size
        self.batches_at_once = backbone.batches_at_once

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        return self._backbone(images)


def load_mapped(spec: BackboneSpec, device: str, workspace: Workspace) -> MappedBackbone:
    """Build the backbone so that it gives its feature maps, too, and try it on one image.

    Args:
        spec: the backbone of a run, settled.
        device: auto, cpu, gpu or gpu:N.
        workspace: keeps the converted networks, and which SavedModels are trusted.

    Raises:
        BackboneError: its bottleneck is not made of feature maps.
        RetrainError: as `load_backbone`.
    """
    resolved = spec.resolve()
    backbone, shapes = _load(resolved, device, workspace)
    layout = MapLayout(shapes, _pooling(resolved), resolved.layers or ("",))
    noise = np.random.default_rng(0).integers(0, 256, (1, *backbone.input_size, 3), np.uint8)
    rows = backbone(noise)
    if rows.shape[1] != layout.width + sum(int(np.prod(shape)) for shape in shapes):
        raise no_map(resolved, "its bottleneck is of another width than its feature map")
    layout.check(rows, resolved)
    return MappedBackbone(backbone, layout)


def _load(
    spec: BackboneSpec, device: str, workspace: Workspace
) -> tuple[Backbone, tuple[MapShape, ...]]:
    if spec.runtime == "openvino":
        from retrain_cli.backbones.maps.openvino_maps import build_openvino_maps

        check_on_processor(spec, device)
        return build_openvino_maps(spec, workspace.models_dir)
    if spec.is_hub:
        from retrain_cli.backbones.maps.hub_maps import build_hub_maps

        check_trusted(spec, is_trusted(spec, workspace))
        return build_hub_maps(spec, choose_device(device))
    if spec.kind != "table":
        raise no_map(spec, f"on {spec.runtime} its maps stay inside: the run's backbone on "
                     "OpenVINO shows them")  # fmt: skip
    from retrain_cli.backbones.maps.keras_maps import build_keras_maps

    return build_keras_maps(spec.settled_on_own(), *choose_devices(device))


def _pooling(spec: BackboneSpec) -> Pooling:
    """What networks of timm do themselves is a mean, or `MapLayout.check` refuses it."""
    return "avg" if spec.pooling == "own" else spec.pooling
