"""Vectors of distorted views, in a cache file of their own beside that of the plain photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.digests import identity_fingerprint
from retrain_cli.backbones.loader import LazyBackbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.array_rows import ArrayRows
from retrain_cli.cache.cache_files import cache_file, identity_of_views, views_place
from retrain_cli.cache.store import BottleneckStore, open_to_read
from retrain_cli.datasets.dataset import Dataset
from retrain_cli.datasets.sources.photo_source import source_of
from retrain_cli.errors import CacheError, setting
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.progress import ExtractionCounts, Progress, Tally
from retrain_cli.extraction.views import ViewSink, view_extractor
from retrain_cli.images.distortions import Distortion
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace

_AT_ONCE = 2_000
"""Photos whose views are looked up, or read, together."""


@dataclass(frozen=True, slots=True)
class ViewCounts:
    """What there is of distorted views.

    Attributes:
        distortion: how they differ from the photo.
        each: how many views there are of each photo.
        computed: how many were computed, over all photos.
    """

    distortion: Distortion
    each: int
    computed: int


@dataclass(frozen=True, slots=True)
class _Photo:
    """A photo that lacks views.

    Attributes:
        relative: its path relative to the dataset's root.
        missing: numbers of the views that are not cached.
    """

    relative: str
    missing: tuple[int, ...]


def fill_views(
    dataset: Dataset,
    used: LastUsed,
    backbone: LazyBackbone,
    workspace: Workspace,
    settings: ExtractionSettings,
    on_progress: Progress,
) -> ViewCounts:
    """Compute the views that are not cached, of each photo; each file is decoded once.

    Args:
        dataset: the photos.
        used: where they are, their backbone, settled, and the views that there are to be.
        backbone: what computes them.
        workspace: where to keep them.
        settings: how to extract.
        on_progress: is told after each photo.

    Raises:
        RetrainError: the cache cannot be written; finished batches stay.
    """
    distortion, spec = Distortion.parse(used.distortion), used.backbone
    with _open(spec, distortion, workspace) as store:
        photos = list(_lacking(dataset, store.arrays, used.views))
        counts = ExtractionCounts(total=len(photos))
        source = source_of(used.image_dir)

        def locate(photo: _Photo) -> str:
            return str(source.locate(photo.relative))

        tally = Tally(counts, settings.strict, on_progress)
        computed = 0
        for missing in dict.fromkeys(photo.missing for photo in photos):
            before = counts.computed
            some = [photo for photo in photos if photo.missing == missing]
            extractor = view_extractor(spec, backbone, distortion, missing, settings)
            sink: ViewSink[_Photo] = ViewSink(store.arrays, missing)
            extractor.fill(some, locate, sink, tally.on_photo, tally.on_written)
            computed += (counts.computed - before) * len(missing)
        store.check_in_place()
    on_progress(counts)
    return ViewCounts(distortion, used.views, computed)


def _lacking(dataset: Dataset, arrays: ArrayRows, n_views: int) -> Iterator[_Photo]:
    """The distinct photos that lack views."""
    paths = dict(zip(dataset.digests, dataset.paths, strict=True))
    every = range(1, n_views + 1)
    digests = list(paths)
    for start in range(0, len(digests), _AT_ONCE):
        some = digests[start : start + _AT_ONCE]
        present = arrays.present((digest, view) for digest in some for view in every)
        for digest in some:
            missing = tuple(view for view in every if (digest, view) not in present)
            if missing:
                yield _Photo(paths[digest], missing)


def count_missing(dataset: Dataset, used: LastUsed, workspace: Workspace) -> int:
    """How many views of the photos are to be computed; nothing is."""
    path = views_file(workspace, used.fingerprint, Distortion.parse(used.distortion))
    if path is None:
        return len(set(dataset.digests)) * used.views
    with open_to_read(path) as store:
        lacking = _lacking(dataset, store.arrays, used.views)
        return sum(len(photo.missing) for photo in lacking)


def read_views(
    digests: Sequence[bytes],
    fingerprint: str,
    views: tuple[Distortion, int],
    workspace: Workspace,
    out: NDArray[np.float32],
) -> None:
    """Read the vectors of views of photos.

    Args:
        digests: of the `n` photos.
        fingerprint: of the cache of their plain bottlenecks.
        views: how they differ from the photo, and how many of each are wanted.
        workspace: where they are.
        out: `((1 + n_views) * n, width) float32` to fill, but for its first `n` rows: the first
            view of all photos, then the next.

    Raises:
        CacheError: some are not cached.
    """
    distortion, n_views = views
    path = views_file(workspace, fingerprint, distortion)
    if path is None:
        raise _missing(views)
    with open_to_read(path) as store:
        place = len(digests)
        for view in range(1, n_views + 1):
            for start in range(0, len(digests), _AT_ONCE):
                keys = [(digest, view) for digest in digests[start : start + _AT_ONCE]]
                if len(store.arrays.present(keys)) < len(set(keys)):
                    raise _missing(views)
                out[place : place + len(keys)] = store.arrays.read(keys).values()
                place += len(keys)


def _missing(views: tuple[Distortion, int]) -> CacheError:
    distortion, n_views = views
    return CacheError(
        f"this needs {n_views} views ({distortion}) of each photo, and some are not cached: "
        f"`retrain bottlenecks` with {setting('views', n_views)} computes them; what is cached is "
        "not computed twice"
    )


def views_file(workspace: Workspace, fingerprint: str, distortion: Distortion) -> Path | None:
    """The cache file of views beside that of the plain bottlenecks; None where there is none."""
    plain = cache_file(workspace, fingerprint)
    if plain is None:
        return None
    with open_to_read(plain) as store:
        identity = identity_of_views(store.identity, distortion)
    return cache_file(workspace, identity_fingerprint(identity))


@contextmanager
def _open(
    spec: BackboneSpec, distortion: Distortion, workspace: Workspace
) -> Iterator[BottleneckStore]:
    path, identity = views_place(workspace, spec, distortion)
    with BottleneckStore(path, identity) as store:
        yield store
