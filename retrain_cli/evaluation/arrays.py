"""Reading the `.npz` files of a run, which may be damaged."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError
from retrain_cli.files import check_ordinary

_MOST_UNPACKED = 30
"""Times; what is packed smaller is no array of a run, and could be larger than memory."""


def read_arrays(
    path: Path, names: Sequence[str], what: str, also: str | tuple[str, ...] = ()
) -> dict[str, NDArray[Any]]:
    """Read arrays by name; pickled objects are refused.

    Args:
        path: an `.npz` file.
        names: the arrays to read.
        what: what the file should hold, for the message.
        also: how the names of further arrays begin, in one way or several; they are read where
            there are any.

    Raises:
        RunError: the file is missing, damaged, or has no such array.
    """
    try:
        check_ordinary(path)
        # Opened here: NumPy leaves a file open that it finds to be damaged.
        with path.open("rb") as file:
            _check_sizes(file)
            with np.load(file, allow_pickle=False) as arrays:
                more = [name for name in arrays.files if also and name.startswith(also)]
                return {name: arrays[name] for name in (*names, *more)}
    except Exception as error:  # of a damaged file NumPy and zipfile raise anything
        raise damaged(path, what, error) from error


def _check_sizes(file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            if entry.file_size > _MOST_UNPACKED * max(entry.compress_size, 1):
                raise ValueError(f"{entry.filename} claims {entry.file_size:,} bytes")
    file.seek(0)


def checked(array: NDArray[Any], name: str, kinds: str, *shape: int | None) -> NDArray[Any]:
    """The array, if it is of these kinds and this shape.

    Args:
        array: what was read.
        name: what it is called.
        kinds: NumPy's letters, such as "iu" for integers; numbers of kind f must be finite.
        shape: its extents; None for any.

    Raises:
        ValueError: it is not.
    """
    if array.dtype.kind not in kinds:
        raise ValueError(f"{name} is of the kind {array.dtype}")
    fits = array.ndim == len(shape) and all(
        wanted in (None, extent) for wanted, extent in zip(shape, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} is of the shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are no finite numbers")
    return array


def in_range(array: NDArray[Any], name: str, least: float, most: float) -> NDArray[Any]:
    """The array, if all of it lies from `least` to `most`; raises ValueError where it does not."""
    if array.size and not (array.min() >= least and array.max() <= most):
        raise ValueError(f"{name} is from {array.min()} to {array.max()}, not {least} to {most}")
    return array


def damaged(path: Path, what: str, error: Exception) -> RunError:
    """The error for a file of a run that cannot be used."""
    reason = " ".join(str(error).split())
    return RunError(f"{path} should hold {what} but cannot be read ({reason}): train it again")
