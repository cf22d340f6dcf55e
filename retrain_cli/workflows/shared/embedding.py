"""From images in any order and of any origin to bottlenecks: cached ones, else computed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import open_to_read
from retrain_cli.datasets.sources.named_photos import photos_at
from retrain_cli.errors import ConfigError
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.distributed.cluster_settings import LOCAL_CLUSTER, ClusterSettings
from retrain_cli.extraction.pipeline import Answering, ExtractionSettings, extractor_for
from retrain_cli.extraction.reading import Ready
from retrain_cli.extraction.views import view_extractor
from retrain_cli.images.distortions import Distortion
from retrain_cli.images.examine import Examined
from retrain_cli.images.in_memory import dimensions, encode_picture, is_picture
from retrain_cli.images.unread import why_unread
from retrain_cli.storage.urls import as_place
from retrain_cli.workflows.sharding.by_cluster import answering_extractor
from retrain_cli.workspace import Workspace

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Source:
    """An image to label: a path or URL, or its bytes under a name."""

    name: str
    data: bytes | None = None

    def locate(self) -> str | bytes:
        """Where the image is."""
        return self.name if self.data is None else self.data


Photo: TypeAlias = "Source | str | os.PathLike[str] | bytes | bytearray | Image | NDArray[Any]"
"""Whatever is taken for a photo: a path, the bytes of a file, a picture of Pillow, an array."""

Photos: TypeAlias = "Photo | Iterable[Photo]"
"""Some of them, or a single one; a folder stands for the images below it."""


def sources_of(photos: Photos) -> Iterable[Source]:
    """Photos of every kind as sources, those of a list all at once, others as they come.

    A photo that has no path is called `image 1` and so on, by its place among all.

    Raises:
        ConfigError: something is no photo; at once for one alone, else when its turn comes.
    """
    given: Any = photos
    if isinstance(given, Ready):
        return given
    if _is_one(given):
        return list(_sources_of_one(given, 1))
    if not isinstance(given, Iterable):
        raise _no_photo(given)
    found = _sources(given)
    there = isinstance(given, Sequence) or is_picture(given)
    return Ready(found, len(given)) if there else found  # type: ignore[arg-type]


def _is_one(photos: Photos) -> bool:
    """Whether this is one photo; four dimensions of an array are several."""
    if isinstance(photos, Source | str | os.PathLike | bytes | bytearray):
        return True
    return is_picture(photos) and dimensions(photos) != 4


def _sources(photos: Iterable[Photo]) -> Iterator[Source]:
    for photo, number in zip(photos, count(1), strict=False):
        yield from _sources_of_one(photo, number)


def _sources_of_one(photo: Photo, number: int) -> Iterator[Source]:
    if isinstance(photo, Source):
        yield photo
    elif isinstance(photo, str | os.PathLike):
        yield from (Source(str(one)) for one in photos_at(as_place(photo)))
    elif isinstance(photo, bytes | bytearray):
        yield Source(f"image {number}", bytes(photo))
    elif is_picture(photo):
        yield Source(f"image {number}", encode_picture(photo))
    else:
        raise _no_photo(photo)


def _no_photo(thing: object) -> ConfigError:
    return ConfigError(
        "a photo is a path, the bytes of a file, a picture of Pillow or an array, not "
        f"{type(thing).__name__}: give one of these, or a list of them"
    )


@dataclass(frozen=True, eq=False)
class EmbeddedBatch:
    """Some images, in order.

    Attributes:
        sources: the images.
        problems: why each could not be used, or None.
        vectors: `(n_usable, width) float32`, bottlenecks of those without a problem, in order.
        digests: content digests of the same.
    """

    sources: tuple[Source, ...]
    problems: tuple[str | None, ...]
    vectors: NDArray[np.float32]
    digests: tuple[bytes, ...]


class Embedder:
    """A backbone and its cache, ready for images; the backbone is loaded by the first new one.

    Attributes:
        backbone: what computes; None of one that was made of an extractor.
    """

    backbone: LazyBackbone | None

    def __init__(
        self,
        spec: BackboneSpec,
        workspace: Workspace,
        settings: ExtractionSettings,
        load: BackboneLoader | None = None,
        views: tuple[Distortion, int] | None = None,
        cluster: ClusterSettings = LOCAL_CLUSTER,
    ) -> None:
        """Get ready.

        Args:
            spec: the backbone, settled.
            workspace: where its cache is.
            settings: how to extract.
            load: how to load the backbone; None for the usual way.
            views: how distorted views differ from a photo, and how many of each are wanted: each
                vector is then that of the photo with those of its views behind it.
            cluster: who computes; the workers of one know nothing of the cache.
        """
        backbone = LazyBackbone(spec, settings.device, load or loader_of(workspace))
        self.backbone = backbone
        self._extractor: Answering
        if not cluster.is_local:
            self._store = None
            self._extractor = answering_extractor(cluster, backbone, spec, settings, workspace)
            return
        if views is not None:
            self._store = None
            numbers = tuple(range(views[1] + 1))
            self._extractor = view_extractor(spec, backbone, views[0], numbers, settings)
            return
        path = cache_path(workspace, spec)
        self._store = open_to_read(path) if path.is_file() else None
        self._extractor = extractor_for(spec, backbone, self._store, settings)

    @classmethod
    def over(cls, extractor: Answering) -> Embedder:
        """One without a cache, whose vectors are what the extractor gives."""
        embedder = cls.__new__(cls)
        embedder.backbone, embedder._store, embedder._extractor = None, None, extractor
        return embedder

    def close(self) -> None:
        """Close the cache; further calls fail."""
        if self._store is not None:
            self._store.close()

    def embed(self, photos: Photos) -> Iterator[EmbeddedBatch]:
        """Bottlenecks of photos as they come; memory does not grow with their number."""
        with closing(self._extractor.answer(sources_of(photos), Source.locate)) as batches:
            for batch in batches:
                yield EmbeddedBatch(
                    tuple(source for source, _ in batch.photos),
                    tuple(problem_of(seen, source.name) for source, seen in batch.photos),
                    self._bottlenecks(batch),
                    tuple(batch.usable),
                )

    def _bottlenecks(self, batch: Batch[Source]) -> NDArray[np.float32]:
        """`(n_usable, width) float32`; `(0, 0)` for none, which says nothing of the width."""
        rows = {digest: row for row, digest in enumerate(batch.digests)}
        is_new = np.array([digest in rows for digest in batch.usable], bool)
        parts: dict[bool, NDArray[np.float32]] = {}
        if batch.vectors is not None:
            parts[True] = batch.vectors[[rows[d] for d in batch.usable if d in rows]]
        if not is_new.all() and self._store is not None:
            parts[False] = self._store.read([d for d in batch.usable if d not in rows])
        width = next(iter(parts.values())).shape[1] if parts else 0
        vectors = np.empty((len(is_new), width), np.float32)
        for new, part in parts.items():
            vectors[is_new == new] = part
        return vectors


def problem_of(seen: Examined, name: str) -> str | None:
    """Why a file that was named as a photo cannot be used; None where it can."""
    return seen.problem or (None if seen.digest is not None else why_unread(name))
