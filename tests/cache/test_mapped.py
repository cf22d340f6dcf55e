"""A matrix on the disk: it is there, it leaves nothing behind, and a full disk is an error."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.cache.mapped import expect_rows, mapped_matrix, stretches
from retrain_cli.errors import WorkspaceError
from retrain_cli.heads.rows import read_rows


def test_it_holds_what_is_written_to_it(tmp_path: Path) -> None:
    matrix = mapped_matrix(tmp_path, 50, 7)
    values = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    matrix[:] = values
    assert isinstance(matrix, np.memmap)
    np.testing.assert_array_equal(matrix[[3, 49]], values[[3, 49]])


@given(
    rows=st.lists(st.integers(0, 400), min_size=1, max_size=60),
    row_bytes=st.integers(4, 9000),
    origin=st.integers(0, 5000),
)
def test_what_is_fetched_ahead_holds_every_row(
    rows: list[int], row_bytes: int, origin: int
) -> None:
    found = list(stretches(np.array(rows), row_bytes, origin))
    assert all(begin % mmap.PAGESIZE == 0 and begin < end for begin, end in found)
    for row in rows:
        begin, end = origin + row * row_bytes, origin + (row + 1) * row_bytes
        assert any(first <= begin and end <= last for first, last in found)
    assert max(last for _, last in found) <= origin + (max(rows) + 1) * row_bytes


def test_neighbours_are_fetched_together() -> None:
    rows = np.r_[0:32, 1000:1032]
    assert len(list(stretches(rows, 4096))) == 2


@pytest.mark.parametrize("first", [0, 7])
def test_rows_are_read_whatever_was_expected(tmp_path: Path, first: int) -> None:
    matrix = mapped_matrix(tmp_path, 3000, 50)
    matrix[:] = np.arange(3000)[:, None]
    rows = np.array([2900, 3, 4, 5, 900, 4, 0])
    np.testing.assert_array_equal(read_rows(matrix[first:], rows)[:, 0], rows + first)
    expect_rows(np.zeros((10, 3), np.float32), rows)  # in memory: nothing to do


def test_nothing_is_left_of_a_process_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom pathlib import Path\n"
        "from retrain_cli.cache.mapped import mapped_matrix\n"
        f"matrix = mapped_matrix(Path({str(tmp_path)!r}), 1000, 1000)\n"
        "matrix[:] = 1\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    rows = shutil.disk_usage(tmp_path).free // 4 + 2**30
    with pytest.raises(WorkspaceError, match=r"GB are free\): free some space, or train on fewer"):
        mapped_matrix(tmp_path, rows, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is reserved on POSIX alone")
def test_room_that_others_took_meanwhile_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(WorkspaceError, match=r"\(No space left on device\)"):
        mapped_matrix(tmp_path, 10, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit holds on Linux")
def test_a_limit_of_address_space_is_named(tmp_path: Path) -> None:
    code = (
        "import resource\nfrom pathlib import Path\n"
        "from retrain_cli.cache.mapped import mapped_matrix\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))\n"
        "try:\n"
        f"    mapped_matrix(Path({str(tmp_path)!r}), 2**17, 2**10)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("WorkspaceError")
    assert "raise the limit of address space (`ulimit -v`)" in done.stdout
