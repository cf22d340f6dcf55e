"""A reader of torch's older file format that knows tensors only.

Such a file is a program for Python's unpickler: four short pickles, one of the tensors' names,
shapes and places, one of the names of the storages, then the storages themselves. What is not
needed for tensors of floating point and whole numbers is refused here, yet a hostile file can
still keep an unpickler busy for ever. So this reads only bytes that somebody has compared with a
known digest before.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
"""The first pickle: a number of 10 bytes that torch begins such a file with."""

_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor: a part of a storage, seen in a shape by strides, both in elements."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_tensors(content: bytes) -> dict[str, NDArray[Any]]:
    """The tensors of a file whose digest is known, by their names; nothing in it is run.

    Args:
        content: the whole file, compared with a known SHA-256 before.

    Raises:
        ValueError: it is not laid out as torch lays out a dictionary of tensors.
    """
    if not content.startswith(MAGIC):
        raise ValueError("it does not begin as torch's older format")
    file = io.BytesIO(content[len(MAGIC) :])
    try:
        _Unpickler(file).load()  # the version of the protocol
        _Unpickler(file).load()  # of the machine that wrote it: little-endian, as all are
        named = _Unpickler(file)
        views = dict(named.load())
        storages = {key: _read_storage(file, named.dtypes[key]) for key in _Unpickler(file).load()}
        return {name: _look(view, storages[view.storage]) for name, view in views.items()}
    except (
        pickle.UnpicklingError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        struct.error,
    ) as error:
        raise ValueError(f"it holds more than tensors, or less ({error})") from error


class _Unpickler(pickle.Unpickler):
    """Gives out dictionaries, views of tensors, and what those consist of.

    Attributes:
        dtypes: of each storage that was referred to, by its key.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The few names that a dictionary of tensors is made with."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a tensor")

    def persistent_load(self, pid: Any) -> str:
        """A reference to a storage: ("storage", kind, key, device, elements, view)."""
        _storage, dtype, key, _device, _elements, part = pid
        if part is not None:
            raise pickle.UnpicklingError(f"{key!r} is no storage of its own")
        self.dtypes[key] = dtype
        return str(key)


def _view(
    storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _View:
    """What torch's function of these arguments would make a tensor of."""
    return _View(storage, offset, shape, strides)


def _read_storage(file: io.BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A storage's numbers, which follow their count."""
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(count * dtype.itemsize), dtype)


def _look(view: _View, storage: NDArray[Any]) -> NDArray[Any]:
    """The view's numbers, copied into an array of their own."""
    steps = zip(view.shape, view.strides, strict=True)
    last = view.offset + sum((length - 1) * stride for length, stride in steps)
    if last >= len(storage):
        raise ValueError("a tensor in it is larger than its storage")
    strides = [stride * storage.itemsize for stride in view.strides]
    part = storage[view.offset :]
    seen: NDArray[Any] = np.lib.stride_tricks.as_strided(part, view.shape, strides, writeable=False)
    return np.array(seen)
