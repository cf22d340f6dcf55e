"""Freed memory is kept where the C library is glibc."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from retrain_cli.extraction.heap import keep_freed_memory
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
if sys.argv[1] == "keep":
    assert keep_freed_memory()
bytearray(20_000_000)
before = faults()
for _ in range(20):
    bytearray(20_000_000)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_buffers_are_not_fetched_anew() -> None:
    command = [sys.executable, "-c", PROGRAM]
    kept, returned = (
        int(subprocess.run([*command, how], capture_output=True, check=True).stdout)
        for how in ("keep", "leave")
    )
    assert 4 * kept < returned  # 4 kB each
    assert returned > 2000


HEAPS = """
import ctypes, sys, threading
from retrain_cli.extraction.heap import share_heaps
if sys.argv[1] == "share":
    assert share_heaps(2)
together = threading.Barrier(6)
def work():
    together.wait()
    bytearray(5000)
    together.wait()
threads = [threading.Thread(target=work) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_threads_share_heaps() -> None:
    shared, own = (
        subprocess.run(
            [sys.executable, "-c", HEAPS, how], capture_output=True, check=True
        ).stdout.count(b"<heap nr=")
        for how in ("share", "leave")
    )
    assert shared <= 2 < own
