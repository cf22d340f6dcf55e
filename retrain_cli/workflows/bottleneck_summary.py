"""What `retrain bottlenecks` says that it did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from retrain_cli.bottlenecks.dataset import Dataset
from retrain_cli.images.origins import ClassOrigin
from retrain_cli.images.splits import SPLITS
from retrain_cli.workflows.grouping import GroupCounts
from retrain_cli.workflows.last_used import LastUsed


@dataclass(frozen=True)
class ClassRow:
    """One line of the class table."""

    origin: ClassOrigin
    images: int
    training: int
    validation: int
    test: int


@dataclass(frozen=True)
class BottleneckSummary:
    """What `bottlenecks` did.

    Attributes:
        used: dataset and backbone.
        cache_path: the cache file.
        found: usable images, duplicates counted each.
        distinct: distinct images among them.
        cached: images whose bottleneck was there already.
        computed: bottlenecks that were computed.
        bad: files that were skipped, as (path, reason).
        images_per_second: rate of the extraction; None where nothing, or too little, was computed.
        device: what the forward pass ran on; None where there was none.
        loose_files: files outside of any class folder, which were left out.
        straddling: photos whose exact duplicate stands in another given split.
        classes: the class table.
        note: why precision or runtime are not what could be expected; usually empty.
        near_duplicates: how many photos are in groups of them; None where they are not grouped.
    """

    used: LastUsed
    cache_path: Path
    found: int
    distinct: int
    cached: int
    computed: int
    bad: list[tuple[str, str]]
    images_per_second: float | None
    device: str | None
    loose_files: int
    straddling: int
    classes: list[ClassRow]
    note: str = ""
    near_duplicates: GroupCounts | None = None


def class_rows(dataset: Dataset, splits: list[str], origins: list[ClassOrigin]) -> list[ClassRow]:
    """One row for each class: its images and their splits."""
    counted = Counter(zip(dataset.labels.tolist(), splits, strict=True))
    rows = []
    for label, origin in enumerate(origins):
        training, validation, test = (counted[label, split] for split in SPLITS)
        rows.append(ClassRow(origin, training + validation + test, training, validation, test))
    return rows
