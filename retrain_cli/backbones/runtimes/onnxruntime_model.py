"""An ONNX file that ONNX Runtime runs, on a GPU or a processor: an extra of this package."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.runtimes.own_devices import CUDA, choose_own_device, load_runtime
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.backbones.user_networks.onnx_network import OnnxNetwork, describe_onnx
from retrain_cli.backbones.user_networks.pooling import pooled_axes
from retrain_cli.backbones.user_networks.resolving import check_onnx_unchanged
from retrain_cli.backbones.user_networks.scalings import parse_scaling
from retrain_cli.engine import quiet_engine
from retrain_cli.errors import BackboneError, reason_of, setting

_KINDS = {"float32": np.float32, "float16": np.float16, "float64": np.float64, "uint8": np.uint8}
_FATAL_ONLY = 4


class OnnxruntimeBackbone:
    """An ONNX file in a session of ONNX Runtime; `load_backbone` makes it.

    Attributes:
        width: length of a bottleneck.
        input_size: (height, width) in pixels.
        device: such as "gpu:0".
        any_batch_size: yes.
        batches_at_once: one; a session spreads over all processors by itself.
    """

    any_batch_size = True
    batches_at_once = 1

    def __init__(self, session: Any, network: OnnxNetwork, pooling: str, device: str) -> None:
        self._session, self._network, self._pooling = session, network, pooling
        self._scaling = parse_scaling(network.scaling)
        self.device = device
        self.input_size = network.size
        self.width = self._probe()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Bottlenecks of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        if self._network.batch is None:
            return self._infer(images)
        parts = [self._infer(images[row : row + 1]) for row in range(len(images))]
        return np.concatenate([np.empty((0, self.width), np.float32), *parts])

    def _infer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        network = self._network
        if network.kind == "uint8":
            pixels: NDArray[Any] = images[..., ::-1] if self._scaling.bgr else images
        else:
            pixels = self._scaling.apply(images).astype(_KINDS[network.kind])
        if network.channels_first:
            pixels = pixels.transpose(0, 3, 1, 2)
        feed = {network.image: np.ascontiguousarray(pixels)}
        (result,) = self._session.run([network.output], feed)
        axes = pooled_axes(
            result.shape,
            self._pooling,
            channels_first=network.channels_first,
            named=f"{network.path} ({network.output})",
        )
        values = np.asarray(result, np.float32)
        if self._pooling == "cls":
            return values[:, 0]
        reduce = np.max if self._pooling == "max" else np.mean
        return np.asarray(reduce(values, axis=axes) if axes else values, np.float32)

    def _probe(self) -> int:
        """Length of the vectors, from one black image.

        Raises:
            BackboneError: the network fails on it.
        """
        image = np.zeros((1, *self.input_size, 3), np.uint8)
        try:
            return int(self._infer(image).shape[1])
        except BackboneError:
            raise
        except Exception as error:  # whatever ONNX Runtime raises
            raise BackboneError(
                f"{self._network.path} must turn RGB images of {self.input_size[0]} x "
                f"{self.input_size[1]} px into vectors, and fails on one ({reason_of(error)}): "
                f"check {setting('input_size')}, or export the model again"
            ) from error


def build_onnxruntime_backbone(spec: BackboneSpec, device: str) -> OnnxruntimeBackbone:
    """Load the file of a resolved ONNX spec.

    Raises:
        MissingExtraError, DeviceError: ONNX Runtime is not installed, or sees no such GPU.
        WeightsError: the file is not the one that the spec was resolved with.
        BackboneError: ONNX Runtime cannot run it.
    """
    runtime = load_runtime("onnxruntime", setting("runtime", "onnxruntime"))
    chosen = choose_own_device(runtime, device)
    check_onnx_unchanged(spec)
    network = describe_onnx(spec.onnx_path, spec.output, spec.scaling, spec.input_size)
    if network.kind not in _KINDS or network.batch not in (None, 1):
        raise BackboneError(
            f"ONNX Runtime is given float32, float16, float64 or uint8, any number of images or "
            f"one, and {network.path} takes {network.batch or 'any number'} of {network.kind}: "
            "export the model with such an input"
        )
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    try:
        with quiet_engine():
            session = runtime.InferenceSession(
                str(network.path), options, providers=_providers(chosen)
            )
            return OnnxruntimeBackbone(session, network, spec.pooling, chosen)
    except BackboneError:
        raise
    except Exception as error:  # whatever ONNX Runtime raises
        raise BackboneError(
            f"{network.path} is a network that ONNX Runtime cannot run ({reason_of(error)}): "
            f"export it with another opset, or choose {setting('runtime', 'openvino')}"
        ) from error


def _providers(device: str) -> list[Any]:
    kind, _, number = device.partition(":")
    on_gpu = [(CUDA, {"device_id": int(number or 0)})] if kind == "gpu" else []
    return [*on_gpu, "CPUExecutionProvider"]
