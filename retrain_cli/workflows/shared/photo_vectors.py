"""Bottlenecks of some photos, wherever they lie: cached like all others, in no dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import BackboneLoader, LazyBackbone, loader_of
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.sources.named_photos import photos_at
from retrain_cli.errors import CacheError
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.pipeline import ExtractionSettings, Extractor, extractor_for
from retrain_cli.extraction.writing import CacheSink
from retrain_cli.images.examine import Examined
from retrain_cli.storage.urls import absolute_place
from retrain_cli.workflows.shared.embedding import problem_of
from retrain_cli.workspace import Workspace

PhotoListener = Callable[[int, int], None]
"""Is told how many photos are done, and how many there are."""


@dataclass(frozen=True)
class GoodPhoto:
    """A photo that can be used: its absolute path, and the digest of its bytes."""

    path: str
    digest: bytes


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """Some photos, each distinct one once.

    Attributes:
        photos: the good ones, in the order in which they were given.
        vectors: `(n_photos, width) float32`, their bottlenecks.
        bad: those that cannot be used, as (path, reason).
    """

    photos: tuple[GoodPhoto, ...]
    vectors: NDArray[np.float32]
    bad: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.photos)


def expand(paths: Iterable[PurePath], ignore: Collection[Path] = ()) -> list[PurePath]:
    """Files as they are, folders as the images below them, without what is ignored; absolute."""
    return [photo for path in paths for photo in photos_at(absolute_place(path), ignore)]


class PhotoReader:
    """Computes and keeps bottlenecks of photos for the backbone of a run.

    Args:
        store: the cache of the backbone, open to write.
        extractor: of the backbone and this cache.
        on_photo: is told of each photo.
    """

    def __init__(
        self,
        store: BottleneckStore,
        extractor: Extractor,
        on_photo: PhotoListener = lambda done, total: None,
    ) -> None:
        self._store, self._extractor, self._on_photo = store, extractor, on_photo

    def known(self, digests: Sequence[bytes]) -> NDArray[np.float32]:
        """The cached vectors of photos, `(n_photos, width) float32`.

        Raises:
            CacheError: one of them is not cached.
        """
        return self._store.read(digests)

    def read(self, files: Sequence[PurePath]) -> PhotoSet:
        """Look into the files, compute what is not cached, keep it."""
        good: dict[bytes, GoodPhoto] = {}
        bad: list[tuple[str, str]] = []
        done = 0

        def on_written(batch: Batch[PurePath]) -> None:
            nonlocal done
            done += len(batch.photos)

        def on_photo(path: PurePath, seen: Examined) -> None:
            problem = problem_of(seen, path.name)
            if seen.digest is None or problem is not None:
                bad.append((str(path), str(problem)))
            else:
                good.setdefault(seen.digest, GoodPhoto(str(path), seen.digest))
            self._on_photo(done, len(files))

        sink = CacheSink[PurePath](self._store)
        self._extractor.fill(files, str, sink, on_photo, on_written)
        self._on_photo(done, len(files))
        self._store.check_in_place()
        return PhotoSet(tuple(good.values()), self._store.read(list(good)), tuple(bad))


@contextmanager
def open_reader(
    command: str,
    spec: BackboneSpec,
    workspace: Workspace,
    settings: ExtractionSettings,
    load: BackboneLoader | None = None,
    on_photo: PhotoListener = lambda done, total: None,
) -> Iterator[PhotoReader]:
    """A reader of photos that fills the cache of a backbone, which nobody else fills meanwhile.

    Args:
        command: who reads; others that have to wait are told this name.
        spec: the backbone, resolved.
        workspace: where its cache is.
        settings: how to extract.
        load: how to load the backbone; None for the usual way.
        on_photo: is told of each photo.

    Raises:
        CacheError: there is no such cache.
        WorkspaceError: another command is at work in this workspace.
    """
    path = cache_path(workspace, spec)
    if not path.is_file():
        raise CacheError(
            f"this needs the bottlenecks that the run was trained on, and {path} is not there: run "
            f"`retrain bottlenecks` with the backbone {spec.label()} again"
        )
    backbone = LazyBackbone(spec, settings.device, load or loader_of(workspace))
    with workspace.lock(command), BottleneckStore(path, spec.identity()) as store:
        yield PhotoReader(store, extractor_for(spec, backbone, store, settings), on_photo)
