"""`retrain bottlenecks --plan`: what would be done, before any of it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np

from retrain_cli.cache.vector_rows import CacheDtype, bytes_per_vector
from retrain_cli.datasets.dataset import load_dataset
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.progress import ExtractionCounts, Progress
from retrain_cli.extraction.readers import ThreadReaders
from retrain_cli.extraction.reading import read_ready
from retrain_cli.extraction.scan import PendingFile, Record
from retrain_cli.images.decode import Pixels, check_image, load_rgb
from retrain_cli.images.examine import Examined
from retrain_cli.workflows.augmentation.cached_views import count_missing
from retrain_cli.workflows.bottlenecks import BottleneckRequest, open_dataset
from retrain_cli.workflows.filling.opened_dataset import OpenDataset
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace

_LOOK_AHEAD = 256
_OVERHEAD = 1.07
"""Measured: SQLite takes 6% on top of 2048 float32 numbers, 8% on top of 1280 of float16."""


@dataclass(frozen=True)
class Plan:
    """What `retrain bottlenecks` would do.

    Attributes:
        used: dataset and backbone.
        found: images, duplicates counted each.
        cached: images whose bottleneck is there already.
        to_do: distinct images to compute.
        bad: files that would be skipped, as (path, reason); new ones by their header alone, so
            that computing may find more.
        disk_bytes: space that the new bottlenecks take; None where the width is not known yet.
        cache_dtype: how their numbers are kept.
        seconds: expected time by the speed of earlier runs of this backbone; None before any.
        note: why precision or runtime are not what could be expected; usually empty.
        warnings: what the folder holds and the dataset leaves out.
        views: distorted views to compute, over all photos.
    """

    used: LastUsed
    found: int
    cached: int
    to_do: int
    bad: list[tuple[str, str]]
    disk_bytes: int | None
    cache_dtype: CacheDtype
    seconds: float | None
    note: str = ""
    warnings: tuple[str, ...] = ()
    views: int = 0


def plan_bottlenecks(
    request: BottleneckRequest,
    workspace: Workspace,
    on_progress: Progress = lambda counts: None,
) -> Plan:
    """Read every new file, but compute nothing; what was learnt of the files is kept.

    Raises:
        RetrainError: as `fill_cache`.
    """
    with open_dataset(request, workspace, convert=False) as opened:
        counts = ExtractionCounts(total=len(opened.scan.pending))
        to_do = _survey(opened, request.settings, counts, on_progress)
        width = opened.store.width or opened.used.backbone.width()
        rate = opened.store.images_per_second
        cached = opened.scan.cached + counts.cached
        views = _views_to_do(opened, len(to_do), workspace)
        n_vectors = len(to_do) + views
        dtype = request.cache_dtype or opened.store.dtype
        return Plan(
            used=opened.used,
            found=cached + counts.computed,
            cached=cached,
            to_do=len(to_do),
            bad=counts.bad,
            disk_bytes=width and round(_OVERHEAD * _bytes(len(to_do), views, width, dtype)),
            cache_dtype=dtype,
            seconds=n_vectors / rate if rate else None,
            note=opened.note,
            warnings=opened.warnings,
            views=views,
        )


def _bytes(vectors: int, views: int, width: int, dtype: CacheDtype) -> int:
    """Of new vectors; those of views are of float32."""
    return vectors * bytes_per_vector(width, dtype) + views * bytes_per_vector(width, "float32")


def _views_to_do(opened: OpenDataset, n_new: int, workspace: Workspace) -> int:
    """Views of new photos, and those that photos of the cache lack."""
    used = opened.used
    if not used.views:
        return 0
    known = load_dataset(opened.index, used.image_dir)
    old = count_missing(known, used, workspace) if used.backbone.is_settled else 0
    return n_new * used.views + old


def _survey(
    opened: OpenDataset,
    settings: ExtractionSettings,
    counts: ExtractionCounts,
    on_progress: Progress,
) -> set[bytes]:
    """Digests to compute; `counts.computed` takes the images that have them."""
    to_do: set[bytes] = set()
    learnt: list[Record] = []
    for file, seen in _looked_into(opened, settings):
        if seen.pixels is None:  # else training would count on a bottleneck that is not there
            learnt.append(file.learnt(seen))
        if seen.problem is not None:
            counts.take_bad(file.relative, seen.problem, settings.strict)
        elif seen.pixels is not None and seen.digest is not None:
            to_do.add(seen.digest)
            counts.computed += 1
        elif seen.digest is not None:
            counts.cached += 1
        counts.done += 1
        on_progress(counts)
    opened.index.remember(opened.dataset, learnt)
    return to_do


def _looked_into(
    opened: OpenDataset, settings: ExtractionSettings
) -> Iterator[tuple[PendingFile, Examined]]:
    """Every file by its header; then those by their pixels whose header told nothing last time."""
    check_pixels = partial(_check_pixels, timeout=settings.photo_timeout)
    for check, was_bad in ((_check_header, False), (check_pixels, True)):
        files = [file for file in opened.scan.pending if file.was_bad == was_bad]
        with (
            ThreadReaders(check, opened.store, settings.reader_count) as readers,
            closing(read_ready(readers, files, opened.locate, _LOOK_AHEAD)) as results,
        ):
            yield from results


_NO_PIXELS: Pixels = np.zeros((0, 0, 3), np.uint8)


def _check_header(data: bytes) -> Pixels:
    """Stands in for decoding: raises for what the header tells, and returns no pixels."""
    check_image(data)
    return _NO_PIXELS


def _check_pixels(data: bytes, timeout: float) -> Pixels:
    """As `_check_header`, but decodes: the header did not tell what was wrong the last time."""
    load_rgb(data, timeout)
    return _NO_PIXELS
