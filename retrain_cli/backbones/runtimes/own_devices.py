"""Which devices the runtimes of users' networks see: ONNX Runtime and torch, Keras not asked."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from retrain_cli.backbones.precisions import Runtime
from retrain_cli.engine import check_device, quiet_engine
from retrain_cli.errors import (
    BackboneError,
    DeviceError,
    MissingExtraError,
    reason_of,
    setting,
)

CUDA = "CUDAExecutionProvider"
_EXTRAS: dict[Runtime, str] = {"onnxruntime": "onnx", "torch": "timm"}


def load_runtime(runtime: Runtime, wanted_by: str) -> Any:
    """Import ONNX Runtime or torch.

    Raises:
        MissingExtraError: it is not installed.
        BackboneError: it does not run here.
    """
    try:
        with quiet_engine():
            return import_module(runtime)
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name == runtime:
            raise MissingExtraError(f"networks on {runtime}", _EXTRAS[runtime]) from error
        raise BackboneError(
            f"{wanted_by} needs {runtime}, whose import failed ({reason_of(error)}): pip install "
            f"-U 'retrain-cli[{_EXTRAS[runtime]}]'"
        ) from error


def sees_gpu(runtime: Runtime, device: str) -> bool:
    """Whether a runtime of a user's network is to compute on a GPU.

    Args:
        runtime: onnxruntime or torch.
        device: auto, gpu or gpu:N.

    Raises:
        MissingExtraError: a GPU was asked for, and the runtime is not installed.
        DeviceError: a GPU was asked for that it does not see.
    """
    asked = check_device(device) != "auto"
    if not asked and find_spec(runtime) is None:
        return False
    module = load_runtime(runtime, setting("device", device))
    return choose_own_device(module, device).startswith("gpu")


def choose_own_device(module: Any, device: str) -> str:
    """`cpu:0` or `gpu:N` for auto, cpu, gpu or gpu:N.

    Raises:
        DeviceError: a GPU was asked for that ONNX Runtime or torch does not see.
    """
    kind, _, number = check_device(device).partition(":")
    if kind == "cpu":
        return "cpu:0"
    if module.__name__ == "torch":
        count = module.cuda.device_count() if module.cuda.is_available() else 0
    else:  # ONNX Runtime does not count them
        count = int(number or 0) + 1 if CUDA in module.get_available_providers() else 0
    if int(number or 0) < count:
        return f"gpu:{number or 0}"
    if kind == "auto":
        return "cpu:0"
    raise DeviceError(
        f"{setting('device', device)} needs a GPU that {module.__name__} sees; it sees {count}: "
        f"install a build of {module.__name__} for GPUs, or go on with {setting('device', 'cpu')}"
    )
