"""The door to the backbones: a spec in, something that turns images into bottlenecks out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from retrain_cli import waiting
from retrain_cli.backbones.machine import check_on_processor
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.trust import check_trusted, is_trusted
from retrain_cli.engine import choose_device, choose_devices
from retrain_cli.workspace import Workspace


class Backbone(Protocol):
    """What extraction needs of a backbone; anything that has these can stand in for one.

    Attributes:
        width: length of a bottleneck.
        input_size: (height, width) in pixels of the images that it takes.
        device: where it computes, such as "cpu:0".
        any_batch_size: whether batches of any size cost nothing more; else each size is compiled
            anew.
        batches_at_once: how many calls may run side by side, each in a thread of its own.
    """

    width: int
    input_size: tuple[int, int]
    device: str
    any_batch_size: bool
    batches_at_once: int

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        ...


@runtime_checkable
class Layered(Protocol):
    """A backbone that may take several layers side by side.

    Attributes:
        layer_widths: how many numbers of a bottleneck each layer gives.
    """

    layer_widths: tuple[int, ...]


def load_backbone(
    spec: BackboneSpec,
    device: str = "auto",
    models: Path | None = None,
    *,
    trust_model: bool = False,
) -> Backbone:
    """Build the backbone and load its weights.

    Args:
        spec: what to build; it is resolved first. Where nobody has settled its precision and
            runtime, they are float32 and Keras.
        device: "auto", "cpu", "gpu" or "gpu:N".
        models: the folder of the converted models, which OpenVINO needs.
        trust_model: whether a SavedModel may run: it can read and write files as any program.

    Raises:
        ConfigError, DeviceError: an option that cannot work, a device that is not there.
        BackboneError: unknown backbone or layer, or one that cannot be built.
        WeightsError: the weights cannot be found, downloaded or fitted to it, or it is a
            SavedModel without `trust_model`.
    """
    resolved = spec.resolve()
    # Imported here, so that looking at this module needs none of the three.
    if resolved.runtime == "openvino":
        from retrain_cli.backbones.runtimes.openvino_model import build_openvino_backbone

        check_on_processor(resolved, device)
        return build_openvino_backbone(resolved, models)
    if resolved.is_hub:
        from retrain_cli.backbones.runtimes.saved_model import build_saved_model_backbone

        check_trusted(resolved, trust_model)
        return build_saved_model_backbone(resolved, choose_device(device))
    if resolved.kind == "onnx":
        from retrain_cli.backbones.runtimes.onnxruntime_model import build_onnxruntime_backbone

        return build_onnxruntime_backbone(resolved.settled_on_own(), device)
    if resolved.kind == "timm":
        from retrain_cli.backbones.runtimes.timm_model import build_timm_backbone

        return build_timm_backbone(resolved.settled_on_own(), device)
    from retrain_cli.backbones.runtimes.keras_model import build_keras_backbone

    return build_keras_backbone(resolved.settled_on_own(), *choose_devices(device))


BackboneLoader = Callable[[BackboneSpec, str], Backbone]


def loader_of(workspace: Workspace) -> BackboneLoader:
    """How to load a backbone whose converted network, or whose trust, this workspace keeps."""

    def load(spec: BackboneSpec, device: str) -> Backbone:
        trusted = is_trusted(spec.resolve(), workspace)
        return load_backbone(spec, device, workspace.models_dir, trust_model=trusted)

    return load


class LazyBackbone:
    """A backbone that is loaded by the first batch that needs it: a warm run never does."""

    def __init__(self, spec: BackboneSpec, device: str, load: BackboneLoader) -> None:
        self._spec = spec
        self._device = device
        self._load = load
        self._loaded: Backbone | None = None
        self._has_computed = False

    @property
    def device(self) -> str | None:
        """What it runs on; None while it is not loaded."""
        return self._loaded.device if self._loaded else None

    @property
    def any_batch_size(self) -> bool:
        """Whether a small batch needs no padding."""
        return self.load().any_batch_size

    @property
    def batches_at_once(self) -> int:
        """How many calls may run side by side."""
        return self.load().batches_at_once

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels; some networks of users have to be loaded to know."""
        if self._spec.input_size is not None:
            return (self._spec.input_size, self._spec.input_size)
        return self.load().input_size

    @property
    def layer_widths(self) -> tuple[int, ...]:
        """How much of a bottleneck each layer gives; one width where there is but one."""
        backbone = self.load()
        return backbone.layer_widths if isinstance(backbone, Layered) else (backbone.width,)

    def load(self) -> Backbone:
        """The backbone itself."""
        if self._loaded is None:
            with waiting.for_(f"loading {self._spec.name}"):
                self._loaded = self._load(self._spec, self._device)
        return self._loaded

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch."""
        backbone = self.load()
        if self._has_computed:
            return backbone(images)
        with waiting.for_(f"compiling {self._spec.name}"):  # which the first batch does
            vectors = backbone(images)
        self._has_computed = True
        return vectors
