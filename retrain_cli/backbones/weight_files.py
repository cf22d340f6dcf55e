"""What a weights file holds, read without building anything: several formats, one view of them.

- Keras 3 `.weights.h5`: one group per layer, named by class and position ("layers/conv2d_5/vars").
- Keras 3 `.keras`: a zip archive with such a file inside.
- Legacy `.h5` (Keras 2, `keras.applications`): layers in the order of the attribute `layer_names`.
- `.safetensors`: arrays by the path of the variable, "conv2d_5/kernel".
- The `.pth` files of known packages, which are read as the same thing; no others are.

A file may come from a stranger, so nothing outside it is read: HDF5 knows links to other files and
arrays whose numbers lie in one.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.tensor_files import read_named_tensors
from retrain_cli.errors import WeightsError, reason_of, setting

Layout = Literal["ordered", "keyed", "named"]
"""How layers find their arrays: by their order in a legacy file, by their class and number in it in
a file of Keras 3, by the name of the layer and the variable otherwise."""

_IN_ARCHIVE = "model.weights.h5"
_VARIABLES = "/vars"
_BFLOAT16_BYTES = 2
_VARIABLE_ORDER = (
    "depthwise_kernel",
    "pointwise_kernel",
    "kernel",
    "gamma",
    "bias",
    "beta",
    "moving_mean",
    "moving_variance",
)
"""Keras's own order within a layer."""

_MOST_UNPACKED = 100
"""Trained weights hardly pack at all; zeros pack a thousandfold."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredArray:
    """One array of a weights file; NumPy reads it from the disk when it is asked for it."""

    dataset: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, known without reading it."""
        return tuple(self.dataset.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Its numbers; those in bfloat16, which NumPy does not know, as float32."""
        values: NDArray[Any] = self.dataset[...]
        if values.dtype.kind == "V" and values.dtype.itemsize == _BFLOAT16_BYTES:
            # The upper half of a float32 is a bfloat16.
            values = (values.view("<u2").astype(np.uint32) << 16).view(np.float32)
        return values if dtype is None else values.astype(dtype, copy=False)


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """One layer's arrays, in Keras's order: trainable ones first.

    Attributes:
        key: its place, "layers/conv2d_5" or, in other layouts, its name.
        name: its name in the model that was saved; "" where the file does not say.
        arrays: its arrays, read from disk when they are converted to NumPy.
        variables: their names, in a file that has arrays by name.
    """

    key: str
    name: str
    arrays: tuple[StoredArray, ...]
    variables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """All layers of a file that have weights."""

    layers: tuple[StoredLayer, ...]
    layout: Layout

    @property
    def array_count(self) -> int:
        """Number of arrays in the file."""
        return sum(len(layer.arrays) for layer in self.layers)


@contextmanager
def open_weights(path: Path, named_by: str = "weights") -> Iterator[StoredWeights]:
    """Open a weights file of any format; its arrays can be read within the block.

    Args:
        path: the file.
        named_by: the setting that named it, for messages.

    Raises:
        WeightsError: it is none of them, damaged, refers to other files, or is one of torch's.
    """
    import h5py

    try:
        tensors = read_named_tensors(path, named_by)
        if tensors is not None:
            yield StoredWeights(tuple(_named_layers(tensors)), "named")
            return
        with h5py.File(_hdf5_source(path), "r") as file:
            _refuse_other_files(file)
            yield _read_layout(file)
    except (OSError, RuntimeError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{setting(named_by)} takes an intact file of weights (.weights.h5, .keras, legacy .h5 "
            f"or .safetensors), and {path} is none ({reason_of(error)}): save or download it again"
        ) from error


def _hdf5_source(path: Path) -> Path | io.BytesIO:
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        entry = archive.getinfo(_IN_ARCHIVE)
        if entry.file_size > _MOST_UNPACKED * max(entry.compress_size, 1):
            raise ValueError(
                f"its {_IN_ARCHIVE} claims {entry.file_size:,} bytes, packed into "
                f"{entry.compress_size:,}, as no weights are"
            )
        return io.BytesIO(archive.read(entry))


def _refuse_other_files(group: Any) -> None:
    """Look at every link and array before any is followed or read.

    Raises:
        ValueError: one of them leads out of the file.
    """
    import h5py

    seen: set[int] = set()
    waiting = [group]
    while waiting:
        current = waiting.pop()
        address = h5py.h5o.get_info(current.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(current, h5py.Dataset):
            if current.external or current.is_virtual:
                raise ValueError(f"the numbers of {current.name} lie in another file")
        elif isinstance(current, h5py.Group):
            for name in current:
                link = current.get(name, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise ValueError(f"{current.name.rstrip('/')}/{name} is a link, and no array")
                waiting.append(current[name])


def _read_layout(file: Any) -> StoredWeights:
    if "layer_names" in file.attrs:
        return StoredWeights(tuple(_legacy_layers(file)), "ordered")
    if "model_weights" in file:
        return StoredWeights(tuple(_legacy_layers(file["model_weights"])), "ordered")
    if "layers" in file:
        return StoredWeights(tuple(_keyed_layers(file)), "keyed")
    raise ValueError(f"an HDF5 file with {', '.join(sorted(file)[:4]) or 'nothing'} at its top")


def _named_layers(tensors: Mapping[str, NDArray[Any]]) -> Iterator[StoredLayer]:
    """The arrays of each layer, in Keras's order; "head_conv/kernel" is of layer "head_conv"."""
    groups: dict[str, dict[str, NDArray[Any]]] = {}
    for path, tensor in tensors.items():
        layer, _, variable = path.rpartition("/")
        groups.setdefault(layer, {})[variable] = tensor
    for layer, found in groups.items():
        names = tuple(sorted(found, key=_place_in_layer))
        yield StoredLayer(layer, layer, tuple(StoredArray(found[name]) for name in names), names)


def _place_in_layer(variable: str) -> tuple[int, str]:
    known = variable in _VARIABLE_ORDER
    return (_VARIABLE_ORDER.index(variable) if known else len(_VARIABLE_ORDER), variable)


def _legacy_layers(group: Any) -> Iterator[StoredLayer]:
    for name in _names_attribute(group, "layer_names"):
        layer = group[name]
        arrays = tuple(
            StoredArray(layer[weight]) for weight in _names_attribute(layer, "weight_names")
        )
        if arrays:
            yield StoredLayer(name, name, arrays)


def _names_attribute(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras splits over numbered attributes where it exceeds 64 kB."""
    if attribute in group.attrs:
        parts = [group.attrs[attribute]]
    else:
        chunks = [key for key in group.attrs if key.removeprefix(attribute).isdigit()]
        parts = [group.attrs[key] for key in sorted(chunks, key=lambda key: (len(key), key))]
    return [name.decode() if isinstance(name, bytes) else str(name) for p in parts for name in p]


def _keyed_layers(file: Any) -> list[StoredLayer]:
    groups: list[StoredLayer] = []

    def visit(path: str, group: Any) -> None:
        if not path.endswith(_VARIABLES) or _is_no_layer(path) or not len(group):
            return
        arrays = tuple(StoredArray(group[key]) for key in sorted(group, key=int))
        name = str(group.attrs.get("name", ""))
        groups.append(StoredLayer(path.removesuffix(_VARIABLES), name, arrays))

    file.visititems(visit)
    return groups


def _is_no_layer(path: str) -> bool:
    """The state of an optimizer or of a dropout layer's random numbers."""
    return path.startswith("optimizer/") or path.endswith("seed_generator" + _VARIABLES)
