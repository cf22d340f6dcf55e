"""`retrain similar`: the training photos nearest to an image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli import notices, waiting
from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.cache.store import open_to_read
from retrain_cli.checks import check_choices, check_least
from retrain_cli.datasets.dataset import Dataset, load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.sources.photo_source import locate_photo
from retrain_cli.errors import DatasetError, WorkspaceError, setting
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.readers import ReaderKind
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.runs.run import RunStore
from retrain_cli.similarity.neighbours import nearest_of_blocks
from retrain_cli.similarity.vector_index import VectorIndex
from retrain_cli.storage.urls import absolute_place
from retrain_cli.workflows.shared.embedding import Embedder, Photos, Source
from retrain_cli.workflows.shared.grouping import with_groups
from retrain_cli.workflows.shared.last_used import LastUsed, used_cache
from retrain_cli.workspace import Workspace

if TYPE_CHECKING:
    from pandas import DataFrame

Search = Literal["auto", "exact", "index"]
Among = Literal["training", "validation", "test", "all"]
"""The photos that are searched: those of a split, or all."""

MOST_EXACT: Final = 1_000_000
"""Photos up to which `auto` compares with each one."""

_MOST_IN_MEMORY = 2 * 2**30  # bytes of vectors; more are read anew for each batch of images
_ROWS_AT_A_TIME = 20_000


@dataclass(frozen=True)
class SimilarRequest:
    """What to search.

    Attributes:
        k: photos an image.
        split: among which photos.
        search: exact, index (approximate), or auto: exact up to a million photos.
        batch_size: images a forward pass at most.
        workers: number of readers, who read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
        readers: threads, processes or auto: processes where photos that need not be waited for are
            many.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
    """

    k: int = 5
    split: Among = "training"
    search: Search = "auto"
    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    readers: ReaderKind = "auto"
    photo_timeout: float = PHOTO_TIMEOUT

    def __post_init__(self) -> None:
        check_least(self, 1, "k")
        check_choices(self)
        _ = self.settings  # it checks the rest

    @property
    def settings(self) -> ExtractionSettings:
        """How to extract."""
        return ExtractionSettings.of(self)


@dataclass(frozen=True)
class SimilarPhoto:
    """A photo of the dataset: absolute path, class, and cosine of the bottlenecks, -1 to 1."""

    path: str
    class_name: str
    similarity: float


@dataclass(frozen=True)
class SimilarImages:
    """The answer for one image: the photos, nearest first, or why there are none."""

    path: str
    photos: tuple[SimilarPhoto, ...]
    error: str | None = None

    def to_frame(self) -> DataFrame:
        """A row for each photo, the nearest first; MissingExtraError without pandas."""
        rows = [[one.path, one.class_name, one.similarity] for one in self.photos]
        return frame(("path", "class", "similarity"), rows)

    def _repr_html_(self) -> str:
        rows = [[one.path, one.class_name, f"{one.similarity:.3f}"] for one in self.photos]
        grid = Grid(("photo", "class", "similarity"), rows)
        return sheet(f"photos like {self.path}", self.error or "", grid)


class SimilarSearch:
    """The photos of the dataset last used, ready to be searched; use it in a `with` block."""

    def __init__(
        self, request: SimilarRequest, workspace: Workspace, load: BackboneLoader | None = None
    ) -> None:
        """Open the dataset last used.

        Raises:
            RetrainError: no bottlenecks, or no photos in this split.
        """
        self._request = request
        used = LastUsed.load(workspace)
        used.check_complete()
        self._photos = _photos(workspace, used, request.split)
        self._store = open_to_read(used_cache(workspace, used))
        self._matrix: NDArray[np.float32] | None = None
        self._index = self._open_index(workspace, used)
        self._embedder = Embedder(used.backbone, workspace, request.settings, load)

    def close(self) -> None:
        """Close the cache; further calls fail."""
        self._store.close()
        self._embedder.close()

    def __enter__(self) -> SimilarSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def search(self, photos: Photos) -> Iterator[SimilarImages]:
        """Nearest photos of photos as they come, in order; none is an answer to itself."""
        for batch in self._embedder.embed(photos):
            found = iter(self._nearest(batch.vectors))
            for source, problem in zip(batch.sources, batch.problems, strict=True):
                named = () if problem else self._named(source, *next(found))
                yield SimilarImages(source.name, named, problem)

    def _nearest(
        self, vectors: NDArray[np.float32]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        if not len(vectors):
            return iter(())
        k = self._request.k + 1  # one of them may be the image itself
        if self._index is not None:
            found = self._index.nearest(vectors, k)
        else:
            found = nearest_of_blocks(vectors, self._blocks(), k)
        return zip(found.rows, found.similarity, strict=True)

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """The bottlenecks of the photos, in order; kept in memory where there is room for them."""
        digests = self._photos.digests
        if 4 * len(digests) * (self._store.width or 0) <= _MOST_IN_MEMORY:
            if self._matrix is None:
                with waiting.for_("reading the bottlenecks"):
                    self._matrix = self._store.read(digests)
            yield self._matrix
            return
        for start in range(0, len(digests), _ROWS_AT_A_TIME):
            yield self._store.read(digests[start : start + _ROWS_AT_A_TIME])

    def _open_index(self, workspace: Workspace, used: LastUsed) -> VectorIndex | None:
        """The index of exactly these photos, made where it is not there; None for exact search."""
        wanted, count = self._request.search, len(self._photos)
        if wanted == "exact" or (wanted == "auto" and count <= MOST_EXACT):
            return None
        name = hashlib.blake2b(b"".join(self._photos.digests), digest_size=6).hexdigest()
        path = workspace.cache_dir / "indexes" / f"{used.fingerprint}-{name}.usearch"
        if path.is_file():
            return VectorIndex(path)
        with waiting.for_(f"making the index of {count:,} photos"):
            try:
                return VectorIndex.build(path, self._blocks(), self._store.width or 0)
            except WorkspaceError as error:
                notices.tell(f"each photo is compared, without an index: {error}")
                return None

    def _named(
        self, source: Source, rows: NDArray[np.int64], similarity: NDArray[np.float32]
    ) -> tuple[SimilarPhoto, ...]:
        own = str(absolute_place(source.name)) if source.data is None else None
        photos = [
            SimilarPhoto(
                str(locate_photo(self._photos.root, self._photos.paths[row])),
                self._photos.class_names[int(self._photos.labels[row])],
                value,
            )
            for row, value in zip(rows.tolist(), similarity.tolist(), strict=True)
        ]
        return tuple(photo for photo in photos if photo.path != own)[: self._request.k]


def _photos(workspace: Workspace, used: LastUsed, split: Among) -> Dataset:
    """The photos of a split, by the percentages of the latest run on this dataset, if any."""
    with FileIndex.to_read(workspace.index_path) as index:
        dataset = load_dataset(index, used.image_dir)
    if split != "all":
        dataset = with_groups(dataset, used.group, workspace)
        config = _last_config(workspace, used)
        splits = dataset.splits(config.validation_percentage, config.testing_percentage)
        rows = np.array([row for row, one in enumerate(splits) if one == split], np.int64)
        dataset = dataset.only(rows, dataset.labels[rows], dataset.class_names)
    if not len(dataset):
        raise DatasetError(
            f"a search needs photos, and the {split} split of {used.image_dir} has none: choose "
            f"another one with {setting('split')}"
        )
    return dataset


def _last_config(workspace: Workspace, used: LastUsed) -> TrainingConfig:
    for run in RunStore(workspace.runs_dir).readable():
        if run.info.provenance.image_dir == used.image_dir:
            return run.config
    return TrainingConfig()
