"""Matrices of vectors: in memory as engines like it, or on the disk where memory is too small."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import WorkspaceError, setting

_TYPE = np.dtype(np.float32)

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
