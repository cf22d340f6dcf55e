"""A backbone that is loaded when it is needed: a warm run never does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import Backbone, load_backbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.workspace import Workspace

BackboneLoader = Callable[[BackboneSpec, str], Backbone]


def loader_of(workspace: Workspace) -> BackboneLoader:
    """How to load a backbone whose converted network this workspace keeps."""
    return partial(load_backbone, models=workspace.models_dir)


class LazyBackbone:
    """A backbone that is loaded by the first batch that needs it: a warm run never does."""

    def __init__(self, spec: BackboneSpec, device: str, load: BackboneLoader) -> None:
        self._spec = spec
        self._device = device
        self._load = load
        self._loaded: Backbone | None = None

    @property
    def device(self) -> str | None:
        """What it runs on; None while it is not loaded."""
        return self._loaded.device if self._loaded else None

    @property
    def any_batch_size(self) -> bool:
        """Whether a small batch needs no padding: OpenVINO compiles nothing anew."""
        return self._spec.runtime == "openvino"

    @property
    def batches_at_once(self) -> int:
        """How many calls may run side by side."""
        return getattr(self.load(), "batches_at_once", 1)

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width in pixels; only a SavedModel has to be loaded to know."""
        if self._spec.input_size is not None:
            return (self._spec.input_size, self._spec.input_size)
        return self.load().input_size

    def load(self) -> Backbone:
        """The backbone itself."""
        if self._loaded is None:
            self._loaded = self._load(self._spec, self._device)
        return self._loaded

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch."""
        return self.load()(images)
