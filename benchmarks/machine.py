"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from retrain_cli.parallel import usable_processors

_PACKAGES = ("tensorflow", "keras", "jax", "openvino", "nncf", "numpy", "pillow", "scikit-learn")


@dataclass(frozen=True)
class Machine:
    """A description for the JSON.

    Attributes:
        processor: its name.
        processors: how many of them this process may use.
        memory_gigabytes: of the machine; 0 where it cannot be asked.
        system: operating system.
        load: processes that wanted to run, over the last minute; -1 where it cannot be asked.
        versions: of Python and the packages that do the work.
    """

    processor: str
    processors: int
    memory_gigabytes: float
    system: str
    load: float
    versions: dict[str, str] = field(default_factory=dict)


def describe_machine() -> Machine:
    """This machine, now."""
    return Machine(
        processor=_processor_name(),
        processors=usable_processors(),
        memory_gigabytes=round(_memory_bytes() / 1e9, 1),
        system=platform.platform(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0,
        versions={"python": platform.python_version(), **_versions()},
    )


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
