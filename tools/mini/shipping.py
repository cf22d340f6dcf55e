"""From trained arrays to the files inside the package."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np


def ship_weights(model: Any, path: Path) -> None:
    """Write a Keras model's weights as a `.weights.h5` of float16, which Keras casts on loading."""
    import h5py

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full.weights.h5"
        model.save_weights(full)
        partial = path.with_suffix(".partial")
        with h5py.File(full) as source, h5py.File(partial, "w", libver=("v108", "v108")) as target:
            _copy_halved(source, target)
    partial.replace(path)


def _copy_halved(source: Any, target: Any) -> None:
    """Copy an HDF5 group with its attributes; floating-point arrays become float16, zipped."""
    target.attrs.update(source.attrs)
    for name, item in source.items():
        if hasattr(item, "items"):
            _copy_halved(item, target.create_group(name))
            continue
        half = np.asarray(item[()]).astype(np.float16)
        zipped = (
            {"compression": "gzip", "compression_opts": 9, "shuffle": True}
            if half.size > 1000
            else {}
        )
        target.create_dataset(name, data=half, **zipped)


def ship_classes(classes: tuple[str, ...], path: Path) -> None:
    """Write the source classes as index, wnid (unknown, so empty) and synonyms."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("index", "wnid", "synonyms"))
        writer.writerows((i, "", name.replace("_", " ")) for i, name in enumerate(classes))
