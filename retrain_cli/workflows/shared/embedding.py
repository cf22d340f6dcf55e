"""From images in any order and of any origin to bottlenecks: cached ones, else computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import open_to_read
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.pipeline import ExtractionSettings, Extractor, extractor_for
from retrain_cli.extraction.readers import Location
from retrain_cli.extraction.views import view_extractor
from retrain_cli.images.distortions import Distortion
from retrain_cli.images.examine import Examined
from retrain_cli.images.unread import why_unread
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class Source:
    """An image to label: a path, or its bytes under a name."""

    name: str
    data: bytes | None = None

    def locate(self) -> Location:
        """Where the image is."""
        return self.name if self.data is None else self.data


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
    ) -> None:
        """Get ready.

        Args:
            spec: the backbone, settled.
            workspace: where its cache is.
            settings: how to extract.
            load: how to load the backbone; None for the usual way.
            views: how distorted views differ from a photo, and how many of each are wanted: each
                vector is then that of the photo with those of its views behind it.
        """
        backbone = LazyBackbone(spec, settings.device, load or loader_of(workspace))
        self.backbone = backbone
        if views is not None:
            self._store = None
            numbers = tuple(range(views[1] + 1))
            self._extractor = view_extractor(spec, backbone, views[0], numbers, settings)
            return
        path = cache_path(workspace, spec)
        self._store = open_to_read(path) if path.is_file() else None
        self._extractor = extractor_for(spec, backbone, self._store, settings)

    @classmethod
    def over(cls, extractor: Extractor) -> Embedder:
        """One without a cache, of an extractor that is there already."""
        made = cls.__new__(cls)
        made.backbone, made._store, made._extractor = None, None, extractor
        return made

    def close(self) -> None:
        """Close the cache; further calls fail."""
        if self._store is not None:
            self._store.close()

    def embed(self, sources: Iterable[Source]) -> Iterator[EmbeddedBatch]:
        """Bottlenecks of images as they come; memory does not grow with their number."""
        with closing(self._extractor.answer(sources, Source.locate)) as batches:
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
