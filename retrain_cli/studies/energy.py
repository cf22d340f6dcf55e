"""Energy that the machine has used, where it tells: RAPL for processors, NVML for NVIDIA cards."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Meter:
    """A counter of energy.

    Attributes:
        name: what it measures.
        read: joules since some moment.
        wraps_at: joules at which it starts again from 0; None where it does not.
    """

    name: str
    read: Callable[[], float]
    wraps_at: float | None = None

    def since(self, before: float) -> float:
        """Joules since the counter stood at `before`; right if it has wrapped once at most."""
        used = self.read() - before
        return used + self.wraps_at if used < 0 and self.wraps_at else used


def find_meters(powercap: Path = _POWERCAP) -> list[Meter]:
    """Every counter that this process may read: processor packages and NVIDIA cards."""
    return [*_rapl_meters(powercap), *_nvml_meters()]


def _rapl_meters(powercap: Path) -> list[Meter]:
    meters = []
    # A package is `intel-rapl:0` (AMD's too); its parts, `intel-rapl:0:0`, are in it already.
    for zone in sorted(powercap.glob("*-rapl:[0-9]*")):
        if zone.name.count(":") != 1:
            continue
        with suppress(OSError, ValueError):
            wraps_at = _microjoules(zone / "max_energy_range_uj")
            _microjoules(zone / "energy_uj")  # only root may read it on many systems
            meters.append(Meter(zone.name, partial(_microjoules, zone / "energy_uj"), wraps_at))
    return meters


def _microjoules(path: Path) -> float:
    return int(path.read_text(encoding="ascii")) / 1e6


def _nvml_meters() -> list[Meter]:
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return []
    count = ctypes.c_uint()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return []
    meters = []
    for number in range(count.value):
        handle = ctypes.c_void_p()
        found = nvml.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(handle)) == 0
        if found and _card_joules(nvml, handle) is not None:
            meters.append(Meter(f"gpu:{number}", partial(_card_joules_now, nvml, handle)))
    return meters


def _card_joules_now(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> float:
    return _card_joules(nvml, handle) or 0.0


def _card_joules(nvml: ctypes.CDLL, handle: ctypes.c_void_p) -> float | None:
    millijoules = ctypes.c_ulonglong()
    failed = nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
    return None if failed else millijoules.value / 1000
