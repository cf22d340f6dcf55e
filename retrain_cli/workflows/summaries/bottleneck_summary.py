"""What `retrain bottlenecks` tells of its work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retrain_cli.backbones.machine import NO_OPENVINO
from retrain_cli.datasets.dataset import Dataset
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.engine import has_openvino
from retrain_cli.extraction.progress import ExtractionCounts
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.reports.few_photos import warn_of_few
from retrain_cli.workflows.augmentation.cached_views import ViewCounts
from retrain_cli.workflows.filling.opened_dataset import OpenDataset
from retrain_cli.workflows.sharding.shard_place import ShardProgress
from retrain_cli.workflows.shared.grouping import GroupCounts
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.passed_over import PassedOver

if TYPE_CHECKING:
    from pandas import DataFrame

_COLUMNS = ("class", "origin", "photos", "training", "validation", "test")


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
        passed_over: files that are no image we read.
        warnings: what the folder holds and the dataset leaves out; told before the work.
        views: the distorted views of each photo; None where none were asked for.
        chosen_layer: what `--layer auto` took, and why; empty where nobody asked.
        shard: the part of the dataset that this is, and how far the others are; None of a whole
            one. The counts are then those of the part, and there is no class table.
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
    passed_over: PassedOver = field(default_factory=PassedOver)
    warnings: tuple[str, ...] = ()
    views: ViewCounts | None = None
    chosen_layer: str = ""
    shard: ShardProgress | None = None

    @property
    def few_photos(self) -> tuple[str, ...]:
        """What is to be said of classes with few photos."""
        rows = self.classes
        return warn_of_few(
            [row.origin.class_name for row in rows],
            [row.images for row in rows],
            [row.test for row in rows],
        )

    def to_frame(self) -> DataFrame:
        """The class table as a data frame of pandas.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(_COLUMNS, self._rows())

    def _repr_html_(self) -> str:
        skipped = f", {len(self.bad):,} files were skipped" if self.bad else ""
        return sheet(
            f"bottlenecks of {self.found:,} photos",
            f"{self.used.backbone.label()}: {self.computed:,} computed, {self.cached:,} were "
            f"there already{skipped}",
            *self.warnings,
            *self.few_photos,
            Grid(_COLUMNS, self._rows()),
        )

    def _rows(self) -> list[list[str | int | None]]:
        return [
            [
                row.origin.class_name,
                row.origin.origin,
                row.images,
                row.training,
                row.validation,
                row.test,
            ]
            for row in self.classes
        ]


SLOW_SECONDS = 120.0
"""From this time on, a run says what would make the next one faster."""


def faster_next_time(summary: BottleneckSummary) -> str:
    """One line on the faster way that this machine has; empty where there is none, or no need."""
    rate, spec = summary.images_per_second, summary.used.backbone
    if not rate or summary.computed / rate < SLOW_SECONDS:
        return ""
    if spec.is_hub or spec.precision == "int8" or not (summary.device or "").startswith("cpu"):
        return ""
    if not has_openvino():
        return NO_OPENVINO
    install = "" if find_spec("nncf") else " (pip install 'retrain-cli[fast-cpu]' first)"
    return (
        "`retrain bottlenecks --precision int8` computes new bottlenecks about "
        f"{_times(spec.precision)} as fast on a processor, calibrated on your photos{install}; it "
        "is a cache of its own"
    )


def _times(precision: str) -> str:
    """As measured with Inception v3: docs/benchmarks.md."""
    return "twice" if precision == "bfloat16" else "four times"


def summarise(
    opened: OpenDataset,
    splits: Sequence[Split],
    dataset: Dataset,
    counts: ExtractionCounts,
    device: str | None,
    views: ViewCounts | None,
) -> BottleneckSummary:
    """What was done with a dataset that is open, `dataset` being what it now holds.

    Args:
        opened: the dataset, or the shard of it, whose cache is filled.
        splits: of its photos.
        dataset: its photos.
        counts: what was computed for it.
        device: what computed; None where nothing was.
        views: what was done about views; None where none were asked for.
    """
    summary = BottleneckSummary(
        used=opened.used,
        cache_path=opened.store.path,
        found=len(dataset),
        distinct=len(set(dataset.digests)),
        cached=opened.scan.cached + counts.cached,
        computed=counts.computed,
        bad=counts.bad,
        images_per_second=counts.images_per_second,
        device=device,
        loose_files=opened.source.loose_files(opened.layout),
        warnings=opened.warnings,
        straddling=dataset.straddling(splits),
        classes=[],
        note=opened.note,
        near_duplicates=GroupCounts.of(dataset) if opened.used.group else None,
        passed_over=PassedOver.of(opened.index, opened.dataset),
        views=views,
    )
    if opened.place is not None:  # whose part of a class says nothing of the class
        return replace(
            summary,
            shard=opened.place.progress,
            passed_over=replace(summary.passed_over, classes=()),
        )
    origins = opened.used.origins(dataset.class_names)
    return replace(summary, classes=class_rows(dataset, list(splits), origins))
