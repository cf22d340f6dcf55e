"""Where the rows of a batch come from: a matrix in memory, or a file larger than memory.

Both feeders hand the training loop a table of vectors and, for each batch, places in that table.
The one in memory hands over the same table every time, so that vectors are picked out on the
device; the streaming one reads the vectors of one block of steps at a time. The numbers that come
out of training are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.mapped import ALIGNMENT, aligned_matrix, expect_rows
from retrain_cli.engine import list_gpus, load_keras, load_tensorflow
from retrain_cli.errors import RunError, setting
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.memory import fits
from retrain_cli.parallel import bounded_map

STREAM_BYTES = 128 * 2**20  # of vectors read for a block of steps; three blocks are in memory

_READ_ROWS = 8192
_MATRIX_SHARE = 0.5  # of the rows in use, from which the whole matrix is taken as it is


@dataclass(frozen=True, eq=False)
class Block:
    """The batches of some steps, on the device that trains.

    Attributes:
        table: `(n_rows, width) float32` tensor, or array where NumPy trains.
        places: `(n_steps, batch_size) int32`, rows of `table`.
        labels: `(n_steps, batch_size) int32`.
    """

    table: Any
    places: Any
    labels: Any


class Feeder(Protocol):
    """Turns positions among the training images into batches."""

    max_steps: int
    reads_ahead: bool

    def block(self, positions: NDArray[np.int64]) -> Block:
        """The batches of `(n_steps, batch_size)` positions in `data.training`."""


Place = Callable[[NDArray[Any]], Any]
"""Puts an array, which must not change any more, where training takes it from."""


class ResidentFeeder:
    """Keeps all vectors on the device: one copy beside the caller's matrix, two where few are used.

    Args:
        data: what to train on.
        place: puts arrays on the device.
    """

    max_steps = 2**31
    reads_ahead = False  # there is nothing to read

    def __init__(self, data: HeadData, place: Place) -> None:
        self._place = place
        whole = _takes_whole(data)
        if whole:
            table = data.bottlenecks
            check_finite(table)
        else:
            table = vectors_of(data, data.training)
        self._table = place(table)
        self._rows = data.training if whole else np.arange(len(data.training))
        self._labels = data.labels[data.training]

    def block(self, positions: NDArray[np.int64]) -> Block:
        """See `Feeder`."""
        return Block(
            self._table,
            self._place(self._rows[positions].astype(np.int32)),
            self._place(self._labels[positions]),
        )


class StreamingFeeder:
    """Reads the vectors of each block from a matrix that memory does not hold.

    Args:
        data: what to train on.
        batch_size: images in a step.
        place: puts arrays on the device.
    """

    reads_ahead = True

    def __init__(self, data: HeadData, batch_size: int, place: Place) -> None:
        self._data, self._place = data, place
        self.max_steps = max(1, STREAM_BYTES // (4 * data.width * batch_size))

    def block(self, positions: NDArray[np.int64]) -> Block:
        """See `Feeder`."""
        rows, places = np.unique(self._data.training[positions], return_inverse=True)
        table = aligned_matrix(positions.size, self._data.width)
        table[: len(rows)] = vectors_of(self._data, rows)
        return Block(
            self._place(table),
            self._place(places.reshape(positions.shape).astype(np.int32)),
            self._place(self._data.labels[self._data.training[positions]]),
        )


def fits_memory(data: HeadData, memory_limit: int | None) -> bool:
    """Whether the training vectors may go to the device, or be picked out, in memory.

    Args:
        data: what to train on.
        memory_limit: bytes that vectors may take; None for half of what is available.
    """
    copies = 1 if _takes_whole(data) else 2  # those picked out, and the device's
    rows = len(data.bottlenecks) if copies == 1 else len(data.training)
    return fits(rows, data.width, copies=copies, memory_limit=memory_limit)


def make_feeder(data: HeadData, batch_size: int, memory_limit: int | None, place: Place) -> Feeder:
    """The feeder for what memory there is; see `fits_memory`."""
    if fits_memory(data, memory_limit):
        return ResidentFeeder(data, place)
    return StreamingFeeder(data, batch_size, place)


def blocks(feeder: Feeder, drawn: Iterable[NDArray[np.int64]]) -> Generator[Block, None, None]:
    """The blocks of positions, in turn; where they are read from a file, one ahead of the engine.

    Close it to stop reading.
    """
    if not feeder.reads_ahead:
        yield from map(feeder.block, drawn)
        return
    with (
        ThreadPoolExecutor(1, "vectors") as reader,
        closing(bounded_map(reader, feeder.block, drawn, 2)) as results,
    ):
        for _, block in results:
            yield block


def _takes_whole(data: HeadData) -> bool:
    """Whether the caller's matrix goes to the device as it is, rows that are not used and all."""
    if data.transform is not None:
        return False
    used = len(data.training) / max(1, len(data.bottlenecks))
    return used >= _MATRIX_SHARE and not isinstance(data.bottlenecks, np.memmap)


def in_memory(array: NDArray[Any]) -> NDArray[Any]:
    """The array as it is: NumPy trains where it lies."""
    return array


def on_device(matrix: NDArray[Any]) -> Any:
    """The array as a tensor of the engine; it must not change any more.

    On a processor TensorFlow takes an aligned matrix of vectors as it lies, and one that is not
    after one copy. Its own conversion copies twice.
    """
    keras = load_keras()
    holds_vectors = matrix.dtype == np.float32 and matrix.size
    if keras.backend.backend() != "tensorflow" or not holds_vectors or list_gpus():
        return keras.ops.convert_to_tensor(matrix)
    flags = matrix.flags
    if matrix.ctypes.data % ALIGNMENT or not (flags.c_contiguous and flags.writeable):
        copy = aligned_matrix(*matrix.shape)
        copy[:] = matrix
        matrix = copy
    return load_tensorflow().experimental.dlpack.from_dlpack(matrix.__dlpack__())


def vectors_of(data: HeadData, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The vectors that a head is trained on of some rows, transformed, `(len(rows), width)`.

    Raises:
        RunError: they are not finite.
    """
    vectors = read_rows(data.bottlenecks, rows)
    check_finite(vectors)
    if data.transform is not None:
        for start in range(0, len(vectors), _READ_ROWS):
            chunk = slice(start, start + _READ_ROWS)
            vectors[chunk] = data.transform(vectors[chunk])
    return vectors


def read_rows(matrix: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Copy rows of a matrix, which may be memory-mapped, into memory: `(len(rows), width)`."""
    result = aligned_matrix(len(rows), matrix.shape[1])
    expect_rows(matrix, rows)
    for start in range(0, len(rows), _READ_ROWS):
        chunk = slice(start, start + _READ_ROWS)
        result[chunk] = matrix[rows[chunk]]
    return result


def check_finite(vectors: NDArray[np.float32]) -> None:
    """Refuse vectors with NaN or infinity.

    Raises:
        RunError: there is one.
    """
    for start in range(0, len(vectors), _READ_ROWS):
        if not np.isfinite(vectors[start : start + _READ_ROWS]).all():
            raise RunError(
                "bottlenecks must be finite numbers, but the cache holds NaN or infinity: compute "
                f"them with {setting('precision', 'float32')}, or see `retrain cache verify`"
            )
