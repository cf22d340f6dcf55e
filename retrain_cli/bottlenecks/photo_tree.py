"""The photos of one walk, as far as the index knows them: which cache holds them, which to show."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from retrain_cli.bottlenecks.file_index import FileIndex
from retrain_cli.bottlenecks.reader import content_digest, read_file
from retrain_cli.bottlenecks.scan import is_unchanged
from retrain_cli.bottlenecks.store import BottleneckStore
from retrain_cli.errors import ImageError
from retrain_cli.images.folders import FoundFolder
from retrain_cli.images.formats import looks_like_image_name

_SAMPLE = 64
"""New files that are read to estimate how many of them a cache holds under another name."""


@dataclass(frozen=True)
class PhotoTree:
    """A walked image folder.

    Attributes:
        root: the image folder.
        folders: what the walk found.
        index: the index of the workspace.
        dataset: number of the dataset in it.
    """

    root: Path
    folders: list[FoundFolder]
    index: FileIndex
    dataset: int

    def share_in(self, store: BottleneckStore) -> float:
        """Share of the photos that a cache holds, 0 to 1; by a sample for files not known yet."""
        known, new = self._known.values(), self._new
        total = len(known) + len(new)
        if not total:
            return 0.0
        held = _count(known, store)
        if new:
            sample = list(self._sample)
            held += round(len(new) * _count(sample, store) / max(1, len(sample)))
        return held / total

    def by_digest(self) -> Iterator[Path]:
        """The photos, copies once, in the order of their digests: a fair draw, always the same.

        Files that are not known yet are read for it.
        """
        places = {digest: path for path, digest in self._known.items()}
        places.update((digest, path) for path, digest in _digests(self._new))
        queue = list(places.items())
        heapq.heapify(queue)
        while queue:
            yield heapq.heappop(queue)[1]

    @cached_property
    def _known(self) -> dict[Path, bytes]:
        return {path: digest for path, digest in self._files if digest is not None}

    @cached_property
    def _new(self) -> list[Path]:
        return [path for path, digest in self._files if digest is None]

    @cached_property
    def _sample(self) -> list[bytes]:
        step = -(-len(self._new) // _SAMPLE)
        return [digest for _, digest in _digests(self._new[::step])]

    @cached_property
    def _files(self) -> list[tuple[Path, bytes | None]]:
        """Images, and what is named like one; without a digest where it is new or changed."""
        files: list[tuple[Path, bytes | None]] = []
        for folder in self.folders:
            known = self.index.folder(self.dataset, folder.path)
            for file in folder.files:
                path = self.root / folder.path / file.name
                if not is_unchanged(file, known):
                    if looks_like_image_name(file.name):
                        files.append((path, None))
                elif known[file.name].problem is None and known[file.name].digest is not None:
                    files.append((path, known[file.name].digest))
        return files


def _digests(paths: Iterable[Path]) -> Iterator[tuple[Path, bytes]]:
    for path in paths:
        with suppress(OSError, ImageError):
            yield path, content_digest(read_file(path))


def _count(digests: Iterable[bytes], store: BottleneckStore) -> int:
    wanted = list(digests)
    held = store.present(set(wanted))
    return sum(digest in held for digest in wanted)
