"""What a slow run could do to be faster next time."""

from __future__ import annotations

from importlib.util import find_spec

from retrain_cli.backbones.machine import NO_OPENVINO
from retrain_cli.engine import has_openvino
from retrain_cli.workflows.bottleneck_summary import BottleneckSummary

SLOW_SECONDS = 120.0
"""A run that computed for so long is worth a word."""


def faster_next_time(summary: BottleneckSummary) -> str:
    """One line on the faster way that this machine has; empty where there is none, or no need."""
    rate, spec = summary.images_per_second, summary.used.backbone
    if not rate or summary.computed / rate < SLOW_SECONDS:
        return ""
    if spec.is_hub or spec.precision == "int8" or not (summary.device or "").startswith("cpu"):
        return ""
    if not has_openvino():
        return NO_OPENVINO
    install = "" if find_spec("nncf") else " (pip install 'retrain-cli[fast-cpu]' first)"
    return (
        f"--precision int8 computes new bottlenecks about {_times(spec.precision)} as fast on a "
        f"processor, calibrated on your photos{install}; it is a cache of its own"
    )


def _times(precision: str) -> str:
    """As measured with Inception v3: docs/benchmarks.md."""
    return "twice" if precision == "bfloat16" else "four times"
