"""Which photos the bundled backbone learns from, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# Never shown in training, so that the backbone can be measured on classes that it has not seen.
# Of the Caltech-101 classes with fewer than 60 photos, those with the most in each group: the
# more photos are left for testing, the more precise the measurement.
HELD_OUT_INT = ("barrel", "beaver", "cellphone", "cup", "hedgehog", "pizza")
HELD_OUT_EXT = ("ceiling_fan", "emu", "gramophone", "pyramid", "wheelchair", "windsor_chair")
HELD_OUT = frozenset(HELD_OUT_INT + HELD_OUT_EXT)

UNLABELLED = -1
SUFFIXES = (".jpg", ".jpeg", ".png")
STORED_SIDE = 256


@dataclass(frozen=True)
class PhotoList:
    """Paths of the training photos with their class numbers.

    Attributes:
        paths: one per photo, labelled ones first.
        labels: `(n_photos,) int64`, the index into `classes`, or UNLABELLED.
        classes: names of the labelled classes, sorted.
    """

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def list_photos(labelled: Sequence[Path], unlabelled: Path | None) -> PhotoList:
    """List the photos of folders of class folders, and of one folder without labels.

    Args:
        labelled: folders with one sub-folder per class; the held-out classes are left out.
        unlabelled: a folder of photos, or None.
    """
    folders = {path.name: path for root in labelled for path in root.iterdir() if path.is_dir()}
    classes = tuple(sorted(set(folders) - HELD_OUT))
    found = [(path, i) for i, name in enumerate(classes) for path in _images(folders[name])]
    if unlabelled is not None:
        found += [(path, UNLABELLED) for path in _images(unlabelled)]
    paths = tuple(path for path, _ in found)
    return PhotoList(paths, np.array([label for _, label in found], np.int64), classes)


def _images(folder: Path) -> list[Path]:
    """Image files of one folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def read_photo(path: Path, side: int = STORED_SIDE) -> Image.Image:
    """Read one photo as RGB, its shorter side at most `side` pixels."""
    with Image.open(path) as image:
        image.draft("RGB", (side, side))
        photo: Image.Image = image.convert("RGB")
    scale = side / min(photo.size)
    if scale >= 1:
        return photo
    size = (round(photo.width * scale), round(photo.height * scale))
    return photo.resize(size, Image.Resampling.BICUBIC)


def read_photos(paths: Sequence[Path], workers: int = 4) -> list[Image.Image]:
    """Read many photos into memory, about 150 kB each."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(read_photo, paths))


def read_squares(paths: Sequence[Path], side: int, workers: int = 4) -> Pixels:
    """Read whole photos, each stretched to a square.

    Returns:
        `(n_photos, side, side, 3) uint8`.
    """

    def read(path: Path) -> Pixels:
        with Image.open(path) as image:
            image.draft("RGB", (side, side))
            photo = image.convert("RGB")
        return np.asarray(photo.resize((side, side), Image.Resampling.BILINEAR), np.uint8)

    with ThreadPoolExecutor(workers) as pool:
        return np.stack(list(pool.map(read, paths)))
