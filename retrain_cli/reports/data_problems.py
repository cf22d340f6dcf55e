"""What is wrong with the photos of a run, as far as counting tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import SPLITS
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.reports.content import DataProblem
from retrain_cli.reports.few_photos import IMBALANCE, LEAST_IMAGES
from retrain_cli.reports.text import printable

MOST_ITEMS = 30  # named for each problem; more are counted


def find_problems(
    images: ImageTable,
    class_names: Sequence[str],
    bad_files: Sequence[tuple[str, str]],
    alike: Mapping[bytes, bytes] = MappingProxyType({}),
) -> tuple[DataProblem, ...]:
    """Look for bad files, duplicates in the wrong place, and classes with too few photos.

    Args:
        images: the photos of a run.
        class_names: the classes by index.
        bad_files: files that could not be used, as (path, reason).
        alike: of each photo that `check` saw, the first of those that are nearly the same.
    """
    found = (
        _bad_files(bad_files),
        *_duplicates(images),
        _near_duplicates(images, alike),
        *_class_sizes(images, class_names),
    )
    return tuple(problem for problem in found if problem.count)


def _problem(title: str, advice: str, items: Iterable[str]) -> DataProblem:
    names = [printable(item) for item in items]
    return DataProblem(title, advice, tuple(names[:MOST_ITEMS]), len(names))


def _bad_files(bad_files: Sequence[tuple[str, str]]) -> DataProblem:
    return _problem(
        "files that could not be used",
        "They were skipped. Repair or remove them, then run `retrain bottlenecks` again.",
        (f"{path}: {reason}" for path, reason in bad_files),
    )


def _duplicates(images: ImageTable) -> Iterator[DataProblem]:
    copies = _copies(images.digest)
    torn = [rows for rows in copies if len(np.unique(images.split[rows])) > 1]
    yield _problem(
        "photos that stand in more than one split",
        "Training has seen what it is tested on, so the figures flatter. Remove one of each.",
        (_listed(images, rows) for rows in torn),
    )
    disputed = [rows for rows in copies if len(np.unique(images.labels[rows])) > 1]
    yield _problem(
        "photos that stand in more than one class",
        "One label is wrong, or the classes overlap. Keep each photo in one class.",
        (_listed(images, rows) for rows in disputed),
    )
    settled = {int(rows[0]) for rows in (*torn, *disputed)}
    yield _problem(
        "photos that are there more than once",
        "Copies share a split, so no figure suffers; they only weigh more in training.",
        (_listed(images, rows) for rows in copies if int(rows[0]) not in settled),
    )


def _near_duplicates(images: ImageTable, alike: Mapping[bytes, bytes]) -> DataProblem:
    """Groups of near duplicates, not copies, that stand in more than one split."""
    groups: dict[bytes, list[int]] = {}
    for row, digest in enumerate(images.digest):
        if (key := digest.tobytes()) in alike:
            groups.setdefault(alike[key], []).append(row)
    torn = [
        np.array(rows)
        for rows in groups.values()
        if len(np.unique(images.split[rows])) > 1
        and len(np.unique(images.digest[rows], axis=0)) > 1
    ]
    return _problem(
        "near duplicates that stand in more than one split",
        "Training has seen almost what it is tested on, so the figures flatter: `retrain "
        "bottlenecks IMAGE_DIR --group near-duplicates` keeps them together.",
        (_listed(images, rows) for rows in torn),
    )


def _copies(digests: NDArray[np.uint8]) -> list[NDArray[np.int64]]:
    """Rows of equal digest, for each digest that occurs more than once, in order."""
    _, inverse, counts = np.unique(digests, axis=0, return_inverse=True, return_counts=True)
    inverse = inverse.reshape(-1)
    repeated = np.flatnonzero(counts[inverse] > 1)
    groups: dict[int, list[int]] = {}
    for row in repeated.tolist():
        groups.setdefault(int(inverse[row]), []).append(row)
    return [np.array(rows) for rows in groups.values()]


def _listed(images: ImageTable, rows: NDArray[np.int64]) -> str:
    return " = ".join(f"{images.paths[row]} ({SPLITS[images.split[row]]})" for row in rows.tolist())


def _class_sizes(images: ImageTable, class_names: Sequence[str]) -> Iterator[DataProblem]:
    n_classes = len(class_names)
    training = np.bincount(images.labels[images.split == 0], minlength=n_classes)
    few = [
        index
        for index in np.argsort(training, kind="stable").tolist()
        if training[index] < LEAST_IMAGES
    ]
    yield _problem(
        f"classes with fewer than {LEAST_IMAGES} training photos",
        "More photos of these classes are the surest way to better figures.",
        (f"{class_names[index]}: {training[index]}" for index in few),
    )
    testing = np.bincount(images.labels[images.split == 2], minlength=n_classes)
    if testing.any():
        yield _problem(
            "classes without test photos",
            "No figure of the test split speaks of them.",
            (class_names[index] for index in np.flatnonzero(testing == 0).tolist()),
        )
    smallest, largest = int(training.argmin()), int(training.argmax())
    uneven = training[largest] > IMBALANCE * training[smallest]
    sizes = (f"{class_names[index]}: {training[index]}" for index in (largest, smallest))
    yield _problem(
        "classes of very different size",
        "Balanced sampling, the default, makes up for some of it; `train --balance prior` for more "
        "(docs/balance.md).",
        [" against ".join(sizes)] if uneven else [],
    )
