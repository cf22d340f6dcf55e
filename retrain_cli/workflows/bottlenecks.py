"""`retrain bottlenecks`: fill the cache with what is not in it, and say what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.machine import NO_OPENVINO
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.dataset import Dataset, load_dataset
from retrain_cli.datasets.file_index import FileIndex, FileRecord
from retrain_cli.datasets.folders import (
    check_class_names,
    list_classes,
    loose_files,
    walk_folders,
)
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.engine import has_openvino
from retrain_cli.extraction.batcher import ExtractionCounts
from retrain_cli.extraction.photo_tree import PhotoTree
from retrain_cli.extraction.pipeline import (
    ExtractionSettings,
    Progress,
    extract,
)
from retrain_cli.extraction.process_readers import ProcessReaders
from retrain_cli.extraction.readers import ThreadReaders
from retrain_cli.extraction.scan import Scan, scan_folders
from retrain_cli.extraction.settle import settle_backbone
from retrain_cli.images.decode import decode_image
from retrain_cli.similarity.survey import Told
from retrain_cli.workflows.shared.grouping import GroupCounts, check_grouping, group_photos
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class BottleneckRequest:
    """What to compute.

    Attributes:
        image_dir: one sub-folder per class.
        backbone: which bottleneck.
        source_classes: imagenet, none or a file; None for the backbone's own.
        int_ext: CSV file that overrides INT and EXT.
        settings: how to extract.
        validation_percentage: for the counts of the class table.
        testing_percentage: for the counts of the class table.
        group: near-duplicates to keep these in one split each, or None.
    """

    image_dir: Path
    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    source_classes: str | None = None
    int_ext: Path | None = None
    settings: ExtractionSettings = field(default_factory=ExtractionSettings)
    validation_percentage: float = 10.0
    testing_percentage: float = 10.0
    group: str | None = None

    def resolve(self) -> LastUsed:
        """The same in the form in which the workspace remembers it; everything is checked.

        Precision and runtime may still be `auto`.

        Raises:
            RetrainError: an unknown backbone, missing weights, a wrong override file.
        """
        check_grouping(self.group)
        spec = self.backbone.resolve()
        source = self.source_classes or spec.default_source_classes()
        if source not in ("imagenet", "none"):
            source = str(Path(source).expanduser().absolute())
        return LastUsed(
            self.image_dir.expanduser().absolute(),
            spec,
            source,
            self.int_ext.expanduser().absolute() if self.int_ext else None,
            group=self.group,
        )


@dataclass(frozen=True)
class OpenDataset:
    """A dataset that this process may fill: the lock is held, index and cache are open."""

    used: LastUsed
    index: FileIndex
    store: BottleneckStore
    dataset: int
    scan: Scan
    note: str = ""

    def is_cached(self, digest: bytes) -> bool:
        """Whether this image needs no forward pass."""
        return self.store.contains(digest)

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the images that need no forward pass."""
        return self.store.present(digests)

    def write(
        self,
        digests: list[bytes],
        vectors: NDArray[np.float32] | None,
        records: list[tuple[str, str, FileRecord]],
    ) -> None:
        """Keep vectors first, so that the index never promises what the cache does not hold."""
        if vectors is not None:
            self.store.put(digests, vectors)
        self.index.remember(self.dataset, records)


@contextmanager
def open_dataset(
    request: BottleneckRequest,
    workspace: Workspace,
    *,
    convert: bool = True,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Iterator[OpenDataset]:
    """Check the request, lock the workspace, walk the folder, settle on a cache.

    Args:
        request: what to compute.
        workspace: where to keep it.
        convert: whether to convert the network for OpenVINO if need be; without that its cache is
            an empty one in memory.
        on_stage: called with what is about to take a while.

    Raises:
        RetrainError: whatever is wrong with folder, backbone or workspace.
    """
    used = request.resolve()
    class_names = list_classes(used.image_dir, [workspace.root])
    check_class_names(class_names)
    used.origins(tuple(class_names))  # a wrong override file is told before hours of work
    workspace.prepare()
    with workspace.lock("bottlenecks"), FileIndex(workspace.index_path) as index:
        dataset = index.dataset_id(used.image_dir)
        photos = PhotoTree(
            used.image_dir, list(walk_folders(used.image_dir, [workspace.root])), index, dataset
        )
        device = request.settings.device
        choice = settle_backbone(
            used.backbone, device, workspace, photos, convert=convert, on_stage=on_stage
        )
        used = replace(used, backbone=choice.backbone)
        with _open_cache(workspace, used.backbone) as store:
            scan = scan_folders(photos.folders, index, dataset, store)
            yield OpenDataset(used, index, store, dataset, scan, choice.note)


def _open_cache(workspace: Workspace, backbone: BackboneSpec) -> BottleneckStore:
    if backbone.is_settled:
        return BottleneckStore(cache_path(workspace, backbone), backbone.identity())
    return BottleneckStore(Path(":memory:"), {"name": backbone.name})


def fill_cache(
    request: BottleneckRequest,
    workspace: Workspace,
    on_progress: Progress = lambda counts: None,
    load: BackboneLoader | None = None,
    on_look: Told = lambda done, total: None,
) -> BottleneckSummary:
    """Compute every bottleneck that is not cached.

    Args:
        request: what to compute.
        workspace: where to keep it.
        on_progress: called after each file, and before what takes a while ahead of the first.
        load: how to load the backbone; None for the usual way.
        on_look: called after each photo that is looked at for near duplicates.

    Raises:
        RetrainError: whatever is wrong with folder, backbone or workspace; finished batches stay.
    """

    def on_stage(stage: str) -> None:
        on_progress(ExtractionCounts(total=0, stage=stage))

    with open_dataset(request, workspace, on_stage=on_stage) as opened:
        if opened.scan.pending:
            opened.used.save(workspace)  # not complete, should this be interrupted
        backbone = LazyBackbone(
            opened.used.backbone, request.settings.device, load or loader_of(workspace)
        )
        counts = _extract(opened, backbone, request.settings, on_progress)
        if counts.images_per_second:
            opened.store.set_meta("images_per_second", f"{counts.images_per_second:.3f}")
        dataset = load_dataset(opened.index, opened.used.image_dir)
        if opened.used.group and dataset.paths:
            threads = request.settings.threads
            dataset = group_photos(dataset, opened.store, workspace, threads, on_look)
        replace(opened.used, complete=True).save(workspace)
        dataset.check()
        return _summarise(request, opened, dataset, counts, backbone.device)


def _extract(
    opened: OpenDataset,
    backbone: LazyBackbone,
    settings: ExtractionSettings,
    on_progress: Progress,
) -> ExtractionCounts:
    pending = opened.scan.pending
    if not pending:
        return ExtractionCounts(total=0)
    readers = _readers(opened, backbone.input_size, settings)
    return extract(pending, readers, opened, backbone, settings, on_progress)


def _readers(
    opened: OpenDataset, size: tuple[int, int], settings: ExtractionSettings
) -> ThreadReaders | ProcessReaders:
    root, count = opened.used.image_dir, settings.threads
    decode = partial(decode_image, size=size, rule=opened.used.backbone.resize)
    if settings.takes_processes(len(opened.scan.pending), max(size)):
        return ProcessReaders(root, decode, opened.store, 3 * size[0] * size[1], count)
    # An empty cache needs not be asked for each photo.
    is_cached = opened.is_cached if len(opened.store) else lambda digest: False
    return ThreadReaders(root, decode, is_cached, count)


def _summarise(
    request: BottleneckRequest,
    opened: OpenDataset,
    dataset: Dataset,
    counts: ExtractionCounts,
    device: str | None,
) -> BottleneckSummary:
    splits = dataset.splits(request.validation_percentage, request.testing_percentage)
    return BottleneckSummary(
        used=opened.used,
        cache_path=opened.store.path,
        found=len(dataset),
        distinct=len(set(dataset.digests)),
        cached=opened.scan.cached + counts.cached,
        computed=counts.computed,
        bad=counts.bad,
        images_per_second=counts.images_per_second,
        device=device,
        loose_files=loose_files(dataset.root),
        straddling=dataset.straddling(splits),
        classes=class_rows(dataset, list(splits), opened.used.origins(dataset.class_names)),
        note=opened.note,
        near_duplicates=GroupCounts.of(dataset) if opened.used.group else None,
    )


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
        f"--precision int8 computes new bottlenecks about {_times(spec.precision)} as fast on a "
        f"processor, calibrated on your photos{install}; it is a cache of its own"
    )


def _times(precision: str) -> str:
    """As measured with Inception v3: docs/benchmarks.md."""
    return "twice" if precision == "bfloat16" else "four times"
