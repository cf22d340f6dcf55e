"""What `auto` means on this machine: which runtime runs the network, and in which precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from retrain_cli.backbones.precisions import Precision
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.engine import choose_device, gpu_capability, has_openvino, may_have_gpu
from retrain_cli.errors import ConfigError, setting

_BFLOAT16_FROM = (8, 0)
_FLOAT16_FROM = (7, 0)
"""NVIDIA's compute capabilities whose matrix units compute in this precision."""

NO_OPENVINO = (
    "OpenVINO is not installed, so Keras computes on the processor: pip install openvino, "
    "and new bottlenecks take a half or a third of the time"
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A spec without `auto`, and what the user should know of it."""

    backbone: BackboneSpec
    note: str = ""


def choose_for_machine(spec: BackboneSpec, device: str) -> Choice:
    """Fill in the open ones of precision and runtime; the converted model stays open.

    On a GPU Keras computes in mixed precision, and what runs networks of the user's in float32. On
    the processor OpenVINO computes in bfloat16 where the processor does, else in float32. A network
    whose vectors are not known to be as good in fewer bits stays in float32. It imports an engine
    only where a GPU may be.

    Raises:
        ConfigError, DeviceError: a device that cannot be.
    """
    own = spec.own_runtime
    if spec.runtime == own and spec.precision != "auto":
        return Choice(spec)
    if spec.runtime == "openvino":
        check_on_processor(spec, device)
    elif _is_gpu(spec, device):
        precision = _precision(spec, partial(_fastest_on_gpu, device))
        return Choice(replace(spec, runtime=own, precision=precision))
    if spec.runtime == own or not (spec.runtime == "openvino" or has_openvino()):
        return Choice(spec.settled_on_own(), "" if spec.runtime == own else NO_OPENVINO)
    precision = _precision(spec, _fastest_on_processor)
    return Choice(replace(spec, runtime="openvino", precision=precision))


def _is_gpu(spec: BackboneSpec, device: str) -> bool:
    if device == "auto" and not may_have_gpu():
        return False
    if spec.own_runtime != "keras":
        from retrain_cli.backbones.runtimes.own_devices import sees_gpu

        return device != "cpu" and sees_gpu(spec.own_runtime, device)
    return device != "cpu" and choose_device(device).startswith("gpu")


def _precision(spec: BackboneSpec, fastest: Callable[[], Precision]) -> Precision:
    """What was asked for; else the machine's fastest where the network loses nothing by it."""
    if spec.precision != "auto":
        return spec.precision
    return fastest() if spec.tolerates_bfloat16 else "float32"


def _fastest_on_gpu(device: str) -> Precision:
    capability = gpu_capability(choose_device(device))
    if capability >= _BFLOAT16_FROM:
        return "bfloat16"
    return "float16" if capability >= _FLOAT16_FROM else "float32"


def _fastest_on_processor() -> Precision:
    from retrain_cli.backbones.runtimes.openvino_model import has_bfloat16

    return "bfloat16" if has_bfloat16() else "float32"


def check_on_processor(spec: BackboneSpec, device: str) -> None:
    """Refuse OpenVINO on a device that it does not compute on.

    Raises:
        ConfigError: a GPU was asked for.
    """
    if device not in ("auto", "cpu"):
        raise ConfigError(
            f"OpenVINO computes {spec.label()} on the processor, so {setting('device', device)} "
            f"cannot be: leave {setting('device')} out, or compute bottlenecks with "
            f"{setting('runtime', spec.own_runtime)}"
        )
