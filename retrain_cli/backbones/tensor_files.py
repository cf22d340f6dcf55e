"""Files that hold tensors by name: `.safetensors`, and torch's own where its digest is known.

A file of torch is a program for Python's unpickler. So only those that come with known packages
are read, which their SHA-256 tells before any byte is parsed; of all others the message says how
to make a `.safetensors` of them.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.efficientnet_lite import from_torch_port, is_torch_port
from retrain_cli.backbones.table import PACKAGED_DIGESTS
from retrain_cli.backbones.torch_tensors import MAGIC, read_torch_tensors
from retrain_cli.errors import WeightsError, setting
from retrain_cli.files import read_file

_TORCH_SUFFIXES = (".pth", ".pt", ".ckpt")
_SAFETENSORS = ".safetensors"
_TORCH_COUNTER = ".num_batches_tracked"
"""What a normalisation of torch keeps beside its weights: a whole number, of no use here."""
_MOST_BYTES = 4 << 30
_BFLOAT16 = "BF16"
_DTYPES = {_BFLOAT16: "V2", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
"""NumPy has no bfloat16: who reads such an array knows it by its two bytes without a kind."""


def read_named_tensors(path: Path, named_by: str) -> dict[str, NDArray[Any]] | None:
    """All arrays of the file under the paths of Keras's variables, "head_conv/kernel".

    Args:
        path: a weights file.
        named_by: the setting that named it, for messages.

    Returns:
        None where the file is of another format.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged.
        WeightsError: it is a file of torch that is not known.
    """
    if _is_torch_file(path):
        tensors = _read_known_torch_file(path, named_by)
    elif path.suffix == _SAFETENSORS:
        tensors = _read_safetensors(path)
    else:
        return None
    return from_torch_port(tensors) if is_torch_port(set(tensors)) else tensors


def _is_torch_file(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) == MAGIC or path.suffix in _TORCH_SUFFIXES:
            return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/data.pkl") for name in archive.namelist())


def _read_known_torch_file(path: Path, named_by: str) -> dict[str, NDArray[Any]]:
    content = read_file(path)
    if hashlib.sha256(content).hexdigest() not in PACKAGED_DIGESTS:
        raise WeightsError(
            f"{setting(named_by)} takes no file of torch but those of known packages, for reading "
            f"one can run any program in it, and {path} is none of these: where you trust it, save "
            "its tensors with safetensors.torch.save_file under the names of Keras's variables "
            "(docs/backbones.md), and give that .safetensors"
        )
    return read_torch_tensors(content)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    import safetensors

    # Annotated, for the library leaves this function of its own without types.
    deserialize: Callable[[bytes], list[tuple[str, Any]]] = safetensors.deserialize
    try:
        entries = deserialize(read_file(path, _MOST_BYTES))
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error
    return {
        name: _as_array(name, entry) for name, entry in entries if not name.endswith(_TORCH_COUNTER)
    }


def _as_array(name: str, entry: Any) -> NDArray[Any]:
    """One tensor of a file, of the kinds that weights have."""
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"its {name!r:.60} is of kind {entry['dtype']!r:.20}, as no weights are")
    numbers: NDArray[Any] = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]])
    shaped: NDArray[Any] = numbers.reshape(entry["shape"])
    return shaped
