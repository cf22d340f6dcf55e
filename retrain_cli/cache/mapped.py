"""Matrices of vectors: in memory as engines like it, or on the disk where memory is too small."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import WorkspaceError, setting

_TYPE = np.dtype(np.float32)
_GAP = 16
"""Rows between two that are fetched along with them."""

ALIGNMENT = 64
"""Bytes at whose multiples TensorFlow wants its tensors to begin; NumPy's large arrays do not."""


def aligned_matrix(rows: int, width: int) -> NDArray[np.float32]:
    """A new matrix in memory, `(rows, width) float32`, that TensorFlow can take as it lies."""
    size = rows * width * _TYPE.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(_TYPE).reshape(rows, width)


def mapped_matrix(folder: Path, rows: int, width: int) -> NDArray[np.float32]:
    """A new memory-mapped matrix, `(rows, width) float32`, in a file without a name in `folder`.

    The operating system frees the file's space once the matrix is gone, whatever ends the process.

    Raises:
        WorkspaceError: the disk has no room for it, or the process may not map that much.
    """
    size = rows * width * _TYPE.itemsize
    with tempfile.TemporaryFile(dir=folder if os.access(folder, os.W_OK) else None) as file:
        try:
            _reserve(file, folder, size)
            return np.memmap(file, _TYPE, "r+", shape=(rows, width))
        except OSError as error:
            raise WorkspaceError(_refusal(folder, size, error)) from error


def expect_rows(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
    """Let the operating system fetch rows of a mapped matrix all at once, before they are read.

    Reading alone waits for each of them in turn. Nothing happens where the matrix is in memory, or
    the system cannot be told.

    Args:
        matrix: `(n, width) float32`.
        rows: `(m,)`; those that ascend are fetched together.
    """
    mapping = _mapping_of(matrix)
    if mapping is None or not hasattr(mmap, "MADV_WILLNEED") or not len(rows):
        return
    origin = matrix.ctypes.data - np.frombuffer(mapping, np.uint8).ctypes.data
    for begin, end in stretches(rows, matrix.strides[0], origin):
        mapping.madvise(mmap.MADV_WILLNEED, begin, end - begin)


def stretches(
    rows: NDArray[np.int64], row_bytes: int, origin: int = 0
) -> Iterator[tuple[int, int]]:
    """Where rows that lie close together begin, at the start of a page, and end; bytes.

    Args:
        rows: `(m,)`, at least one.
        row_bytes: of a row.
        origin: where row 0 begins.
    """
    steps = np.diff(rows)
    breaks = np.flatnonzero((steps > _GAP) | (steps < 0)) + 1
    firsts, lasts = rows[np.r_[0, breaks]], rows[np.r_[breaks - 1, -1]]
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        begin = origin + first * row_bytes
        yield begin - begin % mmap.PAGESIZE, origin + (last + 1) * row_bytes


def _mapping_of(matrix: NDArray[np.float32]) -> mmap.mmap | None:
    """What a matrix is mapped by; None where it is in memory."""
    base: object = matrix
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def _reserve(file: IO[bytes], folder: Path, size: int) -> None:
    """Take the space at once: a disk that fills up under a mapping kills the process."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(errno.ENOSPC, f"{free / 1e9:.1f} GB are free")
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _refusal(folder: Path, size: int, error: OSError) -> str:
    what = (
        f"bottlenecks that memory does not hold go to a temporary file, and {size / 1e9:.1f} GB "
        f"of it in {folder} cannot be had ({error.strerror or error})"
    )
    if error.errno == errno.ENOMEM:
        return f"{what}: raise the limit of address space (`ulimit -v`)"
    return f"{what}: free some space, or train on fewer images with {setting('examples_per_class')}"
