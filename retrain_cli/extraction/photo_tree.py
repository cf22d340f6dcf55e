"""The photos of one walk, as far as the index knows them: which cache holds them, which to show."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.folders import FoundFolder
from retrain_cli.datasets.sources.photo_source import PhotoSource
from retrain_cli.extraction.fetching import fetched
from retrain_cli.extraction.scan import unchanged_files
from retrain_cli.images.examine import content_digest, load
from retrain_cli.images.formats import looks_like_image_name

_SAMPLE = 64
"""New files that are read to estimate how many of them a cache holds under another name."""


@dataclass(frozen=True)
class PhotoTree:
    """A walked image folder.

    Attributes:
        source: where the photos come from.
        folders: what the walk found.
        index: the index of the workspace.
        dataset: number of the dataset in it.
    """

    source: PhotoSource
    folders: list[FoundFolder]
    index: FileIndex
    dataset: int

    def share_in(self, store: BottleneckStore) -> float:
        """Share of the photos that a cache holds, 0 to 1; by a sample for files not known yet."""
        known, new = self._photos.known, self._photos.new
        total = len(known) + len(new)
        if not total:
            return 0.0
        held = _count(known.values(), store)
        if new:
            sample = list(self._sample)
            held += round(len(new) * _count(sample, store) / max(1, len(sample)))
        return held / total

    def by_digest(self) -> Iterator[str]:
        """The photos, copies once, in the order of their digests: a fair draw, always the same.

        Files that are not known yet are read for it.
        """
        places = {digest: path for path, digest in self._photos.known.items()}
        places.update((digest, path) for path, digest in self._digests(self._photos.new))
        queue = list(places.items())
        heapq.heapify(queue)
        while queue:
            yield self._locate(heapq.heappop(queue)[1])

    @cached_property
    def _sample(self) -> list[bytes]:
        new = self._photos.new
        return [digest for _, digest in self._digests(new[:: -(-len(new) // _SAMPLE)])]

    def _digests(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for path, data in fetched(paths, self._locate):
            loaded = load(data) if isinstance(data, str) else data
            if isinstance(loaded, bytes):
                yield path, content_digest(loaded)

    def _locate(self, path: str) -> str:
        return str(self.source.locate(path))

    @cached_property
    def _photos(self) -> _Photos:
        photos = _Photos()
        for folder in self.folders:
            records = self.index.folder(self.dataset, folder.path)
            unchanged = unchanged_files(folder.files, records)
            for file in folder.files:
                path = f"{folder.path}/{file.name}"
                record = unchanged.get(file.name)
                if record is None:
                    if looks_like_image_name(file.name):
                        photos.new.append(path)
                    continue
                if record.problem is None and record.digest is not None:
                    photos.known[path] = record.digest
        return photos


@dataclass(frozen=True)
class _Photos:
    """Paths relative to the root; as strings, for there may be a million of them.

    Attributes:
        known: unchanged images, with their digests.
        new: files that are named like images and are new or changed.
    """

    known: dict[str, bytes] = field(default_factory=dict)
    new: list[str] = field(default_factory=list)


def _count(digests: Iterable[bytes], store: BottleneckStore) -> int:
    wanted = list(digests)
    held = store.present(set(wanted))
    return sum(digest in held for digest in wanted)
