"""What a network computes in, and what can compute in it."""

from __future__ import annotations

from typing import Literal

from retrain_cli.errors import ConfigError, setting

Precision = Literal["auto", "float32", "bfloat16", "float16", "int8"]
Runtime = Literal["auto", "keras", "openvino", "onnxruntime", "torch"]
_RUNTIMES_OF: dict[Precision, tuple[Runtime, ...]] = {
    "auto": ("keras", "openvino", "onnxruntime", "torch"),
    "float32": ("keras", "openvino", "onnxruntime", "torch"),
    "bfloat16": ("keras", "openvino"),
    "float16": ("keras",),
    "int8": ("openvino",),
}
"""Which runtime computes in which precision."""


def only_runtime(precision: Precision) -> Runtime | None:
    """The runtime of a precision that a single one computes in, else None."""
    runtimes = _RUNTIMES_OF[precision]
    return runtimes[0] if len(runtimes) == 1 else None


def check_pair(precision: Precision, runtime: Runtime) -> None:
    """Refuse a precision that this runtime does not compute in.

    Raises:
        ConfigError: it does not.
    """
    runtimes = _RUNTIMES_OF[precision]
    if runtime not in ("auto", *runtimes):
        raise ConfigError(
            f"{setting('precision', precision)} is computed by {setting('runtime')} "
            f"{' or '.join(runtimes)}, not {runtime}: leave {setting('runtime')} out"
        )
