"""Reading the `.npz` files of a run, which may be damaged."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError

DAMAGE = (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, struct.error)


def read_arrays(path: Path, names: Sequence[str], what: str) -> dict[str, NDArray[Any]]:
    """Read arrays by name; pickled objects are refused.

    Args:
        path: an `.npz` file.
        names: the arrays to read.
        what: what the file should hold, for the message.

    Raises:
        RunError: the file is missing, damaged, or has no such array.
    """
    try:
        # Opened here: NumPy leaves a file open that it finds to be damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (*DAMAGE, TypeError, AttributeError) as error:
        raise damaged(path, what, error) from error


def damaged(path: Path, what: str, error: Exception) -> RunError:
    """The error for a file of a run that cannot be used."""
    reason = " ".join(str(error).split())
    return RunError(f"{path} should hold {what} but cannot be read ({reason}): train it again")
