"""Activations at the freeze point: computed once for each photo, kept beside all other caches.

They lie in the cache file of the same backbone that ends at the freeze point without pooling, so
fingerprints, checksums, repair and merging are those of every cache. View 0 is the plain photo.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.array_batch import LARGEST_ARRAY, ArrayBatch
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import CacheError, WorkspaceError, setting
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.pipeline import ExtractionSettings, extractor_for
from retrain_cli.finetuning.freeze_points import FreezePoint
from retrain_cli.finetuning.tuned_network import Arrays
from retrain_cli.finetuning.tuning_config import Activations
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

    path: Path
    digest: bytes


class ActivationCache:
    """The activations of some photos in one format; safe to share between threads.

    Args:
        store: the cache file, open to write.
        point: the freeze point.
        activations: the format.
    """

    def __init__(
        self, store: BottleneckStore, point: FreezePoint, activations: Activations
    ) -> None:
        self._store, self._point, self._activations = store, point, activations

    def missing(self, photos: Sequence[PhotoFile]) -> list[PhotoFile]:
        """Those photos, each distinct one once, that are to be computed."""
        distinct = {photo.digest: photo for photo in photos}
        if self._store.meta(_FORMAT) not in (None, self._activations):
            return list(distinct.values())
        kept = self.present(distinct)
        return [photo for digest, photo in distinct.items() if digest not in kept]

    def prepare(self) -> None:
        """Make room for this format: a file holds activations in one."""
        if self._store.meta(_FORMAT) not in (None, self._activations):
            self._store.remove((), list(self._store.arrays.all_keys()))
        self._store.set_meta(_FORMAT, self._activations)

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the photos whose activations are kept."""
        return {digest for digest, _ in self._store.arrays.present((d, PLAIN) for d in digests)}

    def write(self, batch: Batch[PhotoFile]) -> None:
        """Keep the activations of a batch in one transaction."""
        if batch.vectors is None:
            return
        values = batch.vectors.reshape(-1, *self._point.shape)
        if self._activations == "uint8":
            arrays = ArrayBatch.quantised(values)
        else:
            limit = np.finfo(np.float16).max  # beyond it there would be infinities
            arrays = ArrayBatch(np.clip(values, -limit, limit).astype(np.float16))
        self._store.arrays.put([(digest, PLAIN) for digest in batch.digests], arrays)

    def read(self, digests: Sequence[bytes]) -> Arrays:
        """Activations `(n, height, width, channels)` as they are kept, and their scales."""
        found = self._store.arrays.read([(digest, PLAIN) for digest in digests])
        return [found.data] if found.scales is None else [found.data, found.scales]

    def fill(
        self,
        photos: Sequence[PhotoFile],
        spec: BackboneSpec,
        load: BackboneLoader,
        settings: ExtractionSettings,
        on_photo: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Compute and keep what is missing; whatever stops it, finished batches stay.

        Raises:
            WorkspaceError: the disk has no room for it.
            CacheError: a photo changed or went away since its bottleneck was computed.
        """
        missing = self.missing(photos)
        if not missing:
            return
        self.prepare()
        check_room(
            self._store.path.parent, len(missing) * bytes_each(self._point, self._activations)
        )
        done = 0

        def on_written(batch: Batch[PhotoFile]) -> None:
            nonlocal done
            done += len(batch.photos)
            on_photo(done, len(missing))

        def on_look(photo: PhotoFile, seen: Examined) -> None:
            if seen.digest != photo.digest or seen.problem is not None:
                raise CacheError(
                    f"photos stay as they were when their bottlenecks were computed, and "
                    f"{photo.path} is another one now: run `retrain bottlenecks` again"
                )

        backbone = LazyBackbone(spec, settings.device, load)
        extractor = extractor_for(spec, backbone, None, settings)
        extractor.fill(missing, lambda photo: str(photo.path), self, on_look, on_written)
        self._store.check_in_place()


@contextmanager
def open_activations(
    workspace: Workspace, spec: BackboneSpec, point: FreezePoint, activations: Activations
) -> Iterator[ActivationCache]:
    """The activations of a settled spec of `spec_at`, in the workspace.

    Raises:
        CacheError: the output of the layer is too large to be kept, or the file is damaged.
    """
    size = int(np.prod(point.shape)) * 4
    if size > LARGEST_ARRAY:
        raise CacheError(
            f"activations are kept of up to {LARGEST_ARRAY:,} bytes, and those of {point.cut} have "
            f"{size:,}: go on with {setting('stream', True)}"
        )
    with BottleneckStore(cache_path(workspace, spec), spec.identity()) as store:
        yield ActivationCache(store, point, activations)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to keep what the disk has no room for.

    Raises:
        WorkspaceError: so many bytes are not free, with some to spare.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _LEFT_FREE:
        raise WorkspaceError(
            f"the activations take {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free in "
            f"{folder}: {setting('activations', 'uint8')} takes half, {setting('stream', True)} "
            f"takes none, and a later {setting('trainable', 'from:LAYER')} takes less"
        )
