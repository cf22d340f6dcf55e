"""The photos of a run that an export is checked on, or calibrated with: chosen by their digests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.datasets.splits import Split
from retrain_cli.errors import DatasetError, setting
from retrain_cli.images.decode import decode_image
from retrain_cli.images.examine import read_unchanged
from retrain_cli.runs.run import Run


@dataclass(frozen=True, eq=False)
class ExportPhotos:
    """Photos of one split.

    Attributes:
        photos: the bytes of each.
        labels: `(n_photos,)` their true classes.
        missing: how many were not there, or had changed.
    """

    photos: list[bytes]
    labels: NDArray[np.integer]
    missing: int


def read_export_photos(run: Run, folder: Path | None, split: Split, most: int) -> ExportPhotos:
    """Photos of a split, those with the lowest digests first: a fair draw that stays the same.

    Args:
        run: the run.
        folder: where its image folder is now; None for where it was.
        split: of the run.
        most: how many at most.

    Raises:
        DatasetError: none of them is there as it was.
    """
    root = folder or run.provenance.image_dir
    source = source_of(root)
    photos: list[bytes] = []
    labels: list[int] = []
    missing = 0
    images = run.predictions.images
    for row in _by_digest(run, split):
        if len(photos) == most:
            break
        data = read_unchanged(source.locate(images.paths[row]), images.digest[row].tobytes())
        if data is None:
            missing += 1
            continue
        photos.append(data)
        labels.append(int(images.labels[row]))
    if not photos:
        raise _none_there(run, root, split, missing)
    return ExportPhotos(photos, np.array(labels), missing)


def calibration_pixels(
    run: Run, folder: Path | None, size: tuple[int, int], rule: str, most: int
) -> list[NDArray[np.uint8]]:
    """Pixels of training photos, for a quantisation to see which values occur.

    Raises:
        DatasetError: none of them is there as it was.
    """
    found = read_export_photos(run, folder, "training", most)
    return [decode_image(data, size, rule) for data in found.photos]


def _by_digest(run: Run, split: Split) -> Iterator[int]:
    rows = run.predictions.rows(split)
    digests = [row.tobytes() for row in run.predictions.images.digest[rows]]
    yield from (int(rows[place]) for place in sorted(range(len(rows)), key=digests.__getitem__))


def _none_there(run: Run, root: PurePath, split: Split, missing: int) -> DatasetError:
    if not missing:
        return DatasetError(
            f"an export is checked on {split} photos, and run {run.name} has none: train with a "
            f"{setting('testing_percentage')} above 0"
        )
    return DatasetError(
        f"an export is checked on the run's {split} photos, and none of the {missing} is in {root} "
        f"as it was: put the folder back, or name it with {setting('photos', 'FOLDER')}"
    )
