"""What memory there is, by every limit that a system puts on a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from retrain_cli.heads import memory

GB = 2**30


def with_files(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    monkeypatch.setattr(memory, "_lines", lambda path: files.get(str(path), "").splitlines())


def test_the_least_of_machine_and_all_groups_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable: 8388608 kB",
        "/proc/self/cgroup": "0::/user/train",
        "/sys/fs/cgroup/user/train/memory.max": "max",
        "/sys/fs/cgroup/user/train/memory.current": "5",
        "/sys/fs/cgroup/user/memory.max": str(4 * GB),
        "/sys/fs/cgroup/user/memory.current": str(3 * GB),
        "/sys/fs/cgroup/user/memory.stat": f"anon 7\ninactive_file {GB}",
    }
    with_files(monkeypatch, files)
    assert memory.available_memory() == 2 * GB
    del files["/sys/fs/cgroup/user/memory.max"]
    assert memory.available_memory() == 8 * GB


def test_control_groups_of_the_first_version(monkeypatch: pytest.MonkeyPatch) -> None:
    group = "/sys/fs/cgroup/memory/job"
    files = {
        "/proc/meminfo": "MemAvailable: 8388608 kB",
        "/proc/self/cgroup": "5:cpu:/x\n4:memory,hugetlb:/job",
        f"{group}/memory.limit_in_bytes": str(3 * GB),
        f"{group}/memory.usage_in_bytes": str(GB),
        f"{group}/memory.stat": f"inactive_file 1\ntotal_inactive_file {GB // 2}",
    }
    with_files(monkeypatch, files)
    assert memory.available_memory() == 2.5 * GB


def test_a_system_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with_files(monkeypatch, {})
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert memory.available_memory() == 4 * GB


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="is compared with /proc")
def test_a_system_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    here = memory._meminfo_bytes()
    assert here is not None
    with_files(monkeypatch, {})
    assert memory.available_memory() == pytest.approx(here, rel=0.5)  # others take and give back


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits are read from /proc")
@pytest.mark.parametrize("kind", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process_count(kind: str) -> None:
    code = (
        "import resource\n"
        "from retrain_cli.heads.memory import available_memory\n"
        f"resource.setrlimit(resource.{kind}, (2**30, 2**30))\n"
        "left = available_memory()\n"
        "ballast = bytearray(2**28)\n"
        "print(left, left - available_memory())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    left, taken = map(int, done.stdout.split())
    assert 0 < left < GB
    assert taken == pytest.approx(2**28, rel=0.02)


@pytest.mark.parametrize(("copies", "expected"), [(1, True), (2, True), (3, False)])
def test_as_many_copies_as_the_limit_allows(copies: int, expected: bool) -> None:
    assert memory.fits(100, 10, copies=copies, memory_limit=8000) is expected
