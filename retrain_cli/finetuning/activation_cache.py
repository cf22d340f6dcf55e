"""Activations at the freeze point: computed once for each photo, kept beside all other caches.

They lie in the cache file of the same backbone that ends at the freeze point without pooling, so
fingerprints, checksums, repair and merging are those of every cache. Distorted views of photos lie
in a file of their own for each way to distort, as those of bottlenecks do.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

import numpy as np

from retrain_cli.backbones.loader import LazyBackbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.array_batch import LARGEST_ARRAY, ArrayBatch
from retrain_cli.cache.array_rows import ArrayKey
from retrain_cli.cache.cache_files import cache_path, views_place
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError, WorkspaceError, setting
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.pipeline import ExtractionSettings, extractor_for
from retrain_cli.extraction.views import view_extractor
from retrain_cli.finetuning.freeze_points import FreezePoint
from retrain_cli.finetuning.tuned_network import Arrays
from retrain_cli.finetuning.tuning_config import Activations
from retrain_cli.images.distortions import Distortion
from retrain_cli.images.examine import Examined
from retrain_cli.workspace import Workspace

PLAIN = 0
_FORMAT = "activations"
"""In the file's meta data: float16 or uint8."""
_OVERHEAD = 1.12
"""Measured: SQLite's pages, keys and checksums on top of the numbers."""
_LEFT_FREE = 256 << 20


def spec_at(spec: BackboneSpec, point: FreezePoint) -> BackboneSpec:
    """The backbone up to the freeze point, its feature map as it is; precision is float32's.

    Its converted network is another one, and stays open where OpenVINO is to run it.
    """
    precision = "float32" if spec.precision == "int8" else spec.precision
    return replace(spec, layer=point.cut, pooling="none", precision=precision, model=None)


def bytes_each(point: FreezePoint, activations: Activations) -> int:
    """What the activations of one photo take on the disk."""
    numbers = int(np.prod(point.shape))
    size = numbers * (2 if activations == "float16" else 1)
    return round(size * _OVERHEAD) + (8 * point.shape[-1] if activations == "uint8" else 0)


@dataclass(frozen=True)
class PhotoFile:
    """A photo of the dataset: its path, and the digest that it had when it was last read."""

    path: PurePath
    digest: bytes


Missing = dict[tuple[int, ...], list[PhotoFile]]
"""Photos whose activations are to be computed, each distinct one once, by the views that lack."""


class ActivationCache:
    """The activations of some photos, or of views of them, in one format; threads may share it.

    Args:
        store: the cache file, open to write.
        point: the freeze point.
        activations: the format.
        views: numbers of the views that it is to hold of a photo; 0 is the plain photo.
        distortion: how these differ from it.
    """

    def __init__(
        self,
        store: BottleneckStore,
        point: FreezePoint,
        activations: Activations,
        views: tuple[int, ...] = (PLAIN,),
        distortion: Distortion | None = None,
    ) -> None:
        self._store, self._point, self._activations = store, point, activations
        self._views, self._distortion = views, distortion

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self._store.path.parent

    def missing(self, photos: Sequence[PhotoFile]) -> Missing:
        """What is to be computed of these photos."""
        distinct = {photo.digest: photo for photo in photos}
        if self._store.meta(_FORMAT) not in (None, self._activations):
            return {self._views: list(distinct.values())} if distinct else {}
        kept = self._kept(distinct, self._views)
        lacking: Missing = {}
        for digest, photo in distinct.items():
            views = tuple(view for view in self._views if (digest, view) not in kept)
            if views:
                lacking.setdefault(views, []).append(photo)
        return lacking

    def _kept(self, digests: Iterable[bytes], views: tuple[int, ...]) -> set[ArrayKey]:
        return self._store.arrays.present((digest, view) for digest in digests for view in views)

    def prepare(self) -> None:
        """Make room for this format: a file holds activations in one."""
        if self._store.meta(_FORMAT) not in (None, self._activations):
            self._store.remove((), list(self._store.arrays.all_keys()))
        self._store.set_meta(_FORMAT, self._activations)

    def present(self, digests: Iterable[bytes], views: tuple[int, ...]) -> set[bytes]:
        """Those of the photos whose activations are kept, of each of the views."""
        wanted = set(digests)
        kept = self._kept(wanted, views)
        return {digest for digest in wanted if all((digest, view) in kept for view in views)}

    def write(self, batch: Batch[PhotoFile], views: tuple[int, ...]) -> None:
        """Keep the activations of a batch, of each photo those of the views, in one transaction."""
        if batch.vectors is None:
            return
        values = batch.vectors.reshape(-1, *self._point.shape)
        if self._activations == "uint8":
            arrays = ArrayBatch.quantised(values)
        else:
            limit = np.finfo(np.float16).max  # beyond it there would be infinities
            arrays = ArrayBatch(np.clip(values, -limit, limit).astype(np.float16))
        keys = [(digest, view) for digest in batch.digests for view in views]
        self._store.arrays.put(keys, arrays)

    def read(self, keys: Sequence[ArrayKey]) -> Arrays:
        """Activations `(n, height, width, channels)` as they are kept, and their scales.

        Args:
            keys: digest and view of each.
        """
        found = self._store.arrays.read(keys)
        return [found.data] if found.scales is None else [found.data, found.scales]

    def fill(
        self,
        missing: Missing,
        spec: BackboneSpec,
        backbone: LazyBackbone,
        settings: ExtractionSettings,
        on_array: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Compute and keep what is missing; whatever stops it, finished batches stay.

        Args:
            missing: what `missing` gave.
            spec: the frozen part, settled.
            backbone: what computes it.
            settings: how photos are read.
            on_array: is told how many arrays have come.

        Raises:
            CacheError: a photo changed or went away since its bottleneck was computed.
        """
        if not missing:
            return
        self.prepare()
        for views, photos in missing.items():
            if self._distortion is None:
                extractor = extractor_for(spec, backbone, None, settings)
            else:
                extractor = view_extractor(spec, backbone, self._distortion, views, settings)
            told = partial(_told_of, views, on_array)
            sink = _Sink(self, views)
            extractor.fill(photos, lambda photo: str(photo.path), sink, _check_same, told)
        self._store.check_in_place()


@dataclass(frozen=True)
class _Sink:
    """Takes the activations of some views of photos."""

    cache: ActivationCache
    views: tuple[int, ...]

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """See `Sink`."""
        return self.cache.present(digests, self.views)

    def write(self, batch: Batch[PhotoFile]) -> None:
        """See `Sink`."""
        self.cache.write(batch, self.views)


def _told_of(
    views: tuple[int, ...], on_array: Callable[[int], None], batch: Batch[PhotoFile]
) -> None:
    on_array(len(batch.photos) * len(views))


def _check_same(photo: PhotoFile, seen: Examined) -> None:
    """Refuse a photo that is another one than when its bottleneck was computed."""
    if seen.digest != photo.digest or seen.problem is not None:
        now = "is another one now" if seen.problem is None else f"is not ({seen.problem})"
        raise CacheError(
            f"photos stay as they were when their bottlenecks were computed, and "
            f"{photo.path} {now}: run `retrain bottlenecks` again"
        )


def count_arrays(missing: Missing) -> int:
    """How many arrays are missing."""
    return sum(len(views) * len(photos) for views, photos in missing.items())


@contextmanager
def open_activations(
    workspace: Workspace,
    spec: BackboneSpec,
    point: FreezePoint,
    activations: Activations,
    views: tuple[Distortion, int] | None = None,
) -> Iterator[ActivationCache]:
    """The activations of a settled spec of `spec_at`, in the workspace.

    Args:
        workspace: where they are.
        spec: the frozen part, settled.
        point: the freeze point.
        activations: the format.
        views: how views differ from the photo and how many there are; None for the plain photos.

    Raises:
        CacheError: the output of the layer is too large to be kept, or the file is damaged.
    """
    size = int(np.prod(point.shape)) * 4
    if size > LARGEST_ARRAY:
        raise CacheError(
            f"activations are kept of up to {LARGEST_ARRAY:,} bytes, and those of {point.cut} have "
            f"{size:,}: go on with {setting('stream', True)}"
        )
    if views is None:
        with BottleneckStore(cache_path(workspace, spec), spec.identity()) as store:
            yield ActivationCache(store, point, activations)
        return
    distortion, count = views
    path, identity = views_place(workspace, spec, distortion)
    with BottleneckStore(path, identity) as store:
        numbers = tuple(range(PLAIN + 1, count + 1))
        yield ActivationCache(store, point, activations, numbers, distortion)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to keep what the disk has no room for.

    Raises:
        WorkspaceError: so many bytes are not free, with some to spare.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _LEFT_FREE:
        raise WorkspaceError(
            f"the activations take {needed / 1e6:,.1f} MB, {_LEFT_FREE / 1e6:,.0f} MB are to stay "
            f"free, and {free / 1e6:,.1f} MB are free in {folder}: "
            f"{setting('activations', 'uint8')} takes half, {setting('stream', True)} takes none, "
            f"and a later {setting('trainable', 'from:LAYER')} takes less"
        )
