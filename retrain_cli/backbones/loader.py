"""The door to the backbones: a spec in, something that turns images into bottlenecks out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.machine import check_on_processor
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import choose_device, choose_devices


class Backbone(Protocol):
    """What extraction needs of a backbone; anything that has these can stand in for one.

    Attributes:
        width: length of a bottleneck.
        input_size: (height, width) in pixels of the images that it takes.
        device: where it computes, such as "cpu:0".
    """

    width: int
    input_size: tuple[int, int]
    device: str

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        ...


def load_backbone(spec: BackboneSpec, device: str = "auto", models: Path | None = None) -> Backbone:
    """Build the backbone and load its weights.

    Args:
        spec: what to build; it is resolved first. Where nobody has settled its precision and
            runtime, they are float32 and Keras.
        device: "auto", "cpu", "gpu" or "gpu:N".
        models: the folder of the converted models, which OpenVINO needs.

    Raises:
        ConfigError, DeviceError: an option that cannot work, a device that is not there.
        BackboneError: unknown backbone or layer, or one that cannot be built.
        WeightsError: the weights cannot be found, downloaded or fitted to it.
    """
    resolved = spec.resolve()
    # Imported here, so that looking at this module needs none of the three.
    if resolved.runtime == "openvino":
        from retrain_cli.backbones.openvino_model import build_openvino_backbone

        check_on_processor(resolved, device)
        return build_openvino_backbone(resolved, models)
    if resolved.is_hub:
        from retrain_cli.backbones.saved_model import build_saved_model_backbone

        return build_saved_model_backbone(resolved, choose_device(device))
    from retrain_cli.backbones.keras_model import build_keras_backbone

    return build_keras_backbone(resolved.settled_on_keras(), *choose_devices(device))
