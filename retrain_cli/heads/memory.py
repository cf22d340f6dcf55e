"""How much memory a training may take for its vectors."""

from __future__ import annotations

import sys
from pathlib import Path

_UNKNOWN = 4 * 2**30  # assumed where the system does not tell
_VECTOR_BYTES = 4

_CGROUPS = Path("/sys/fs/cgroup")
_FILES_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_FILES_V2 = ("memory.max", "memory.current", "inactive_file")


def available_memory() -> int:
    """Bytes that this process can still take.

    The least of what the machine has, what the control groups of the process allow, and what
    `ulimit -v` and `ulimit -d` allow.
    """
    limits = [_meminfo_bytes() or _bytes_elsewhere(), *_group_bytes(), *_process_bytes()]
    known = [limit for limit in limits if limit is not None]
    return max(0, min(known)) if known else _UNKNOWN


def fits(rows: int, width: int, *, copies: int, memory_limit: int | None) -> bool:
    """Whether so many vectors may be kept in memory.

    Args:
        rows: number of vectors.
        width: numbers in a vector.
        copies: how many times they are there at the same time.
        memory_limit: bytes that vectors may take; None for half of what is available.
    """
    limit = available_memory() // 2 if memory_limit is None else memory_limit
    return copies * rows * width * _VECTOR_BYTES <= limit


def _meminfo_bytes() -> int | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _bytes_elsewhere() -> int | None:
    """The same where there is no /proc: on macOS and Windows."""
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _group_bytes() -> list[int | None]:
    """What each control group that the process is in leaves, from its own up to the root."""
    left = []
    for line in _lines(Path("/proc/self/cgroup")):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = _CGROUPS / "memory" if controllers else _CGROUPS
        own = top / path.lstrip("/")
        names = _FILES_V1 if controllers else _FILES_V2
        left += [_left_in(own, names)]
        left += [_left_in(above, names) for above in own.parents if above.is_relative_to(top)]
    return left


def _left_in(group: Path, names: tuple[str, str, str]) -> int | None:
    """Limit less use; what files take in it is given back when it is needed, so is not used."""
    limit, used, reclaimable = names
    numbers = [_lines(group / name) for name in (limit, used)]
    if not all(lines and lines[0].isdigit() for lines in numbers):
        return None
    files = [line.split()[1] for line in _lines(group / "memory.stat") if _is(line, reclaimable)]
    return int(numbers[0][0]) - int(numbers[1][0]) + sum(map(int, files))


def _is(line: str, name: str) -> bool:
    return line.partition(" ")[0] == name


def _process_bytes() -> list[int | None]:
    """What `ulimit -v` (address space) and `ulimit -d` (private memory) leave."""
    used = _lines(Path("/proc/self/statm"))
    if sys.platform == "win32" or not used:
        return []
    import resource

    pages = used[0].split()  # size resident shared text library data
    pairs = ((resource.RLIMIT_AS, pages[0]), (resource.RLIMIT_DATA, pages[5]))
    return [_left_of(kind, int(taken) * resource.getpagesize()) for kind, taken in pairs]


def _left_of(kind: int, used: int) -> int | None:
    import resource

    limit = resource.getrlimit(kind)[0]
    return None if limit == resource.RLIM_INFINITY else limit - used


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
