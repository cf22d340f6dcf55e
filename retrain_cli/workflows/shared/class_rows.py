"""The class table of `retrain bottlenecks`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from retrain_cli.datasets.dataset import Dataset
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS


@dataclass(frozen=True)
class ClassRow:
    """One line of the class table."""

    origin: ClassOrigin
    images: int
    training: int
    validation: int
    test: int


def class_rows(dataset: Dataset, splits: list[str], origins: list[ClassOrigin]) -> list[ClassRow]:
    """One row for each class: its images and their splits."""
    counted = Counter(zip(dataset.labels.tolist(), splits, strict=True))
    rows = []
    for label, origin in enumerate(origins):
        training, validation, test = (counted[label, split] for split in SPLITS)
        rows.append(ClassRow(origin, training + validation + test, training, validation, test))
    return rows
