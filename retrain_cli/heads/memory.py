"""How much memory a training may take for its vectors."""

from __future__ import annotations

import sys
from pathlib import Path

_UNKNOWN = 4 * 2**30  # assumed where the system does not tell


def available_memory() -> int:
    """Bytes that this process can still take: of the machine, its control group and `ulimit -v`."""
    limits = [_meminfo_bytes(), _cgroup_bytes(), _address_space_bytes()]
    known = [limit for limit in limits if limit is not None]
    return max(0, min(known)) if known else _UNKNOWN


def _meminfo_bytes() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_bytes() -> int | None:
    folder = Path("/sys/fs/cgroup")
    limit, used = _lines(folder / "memory.max"), _lines(folder / "memory.current")
    if not limit or not used or not limit[0].isdigit():
        return None
    return int(limit[0]) - int(used[0])


def _address_space_bytes() -> int | None:
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    used = _lines(Path("/proc/self/statm"))
    if limit == resource.RLIM_INFINITY or not used:
        return None
    return limit - int(used[0].split()[0]) * resource.getpagesize()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
