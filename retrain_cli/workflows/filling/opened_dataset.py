"""A dataset that is open to be filled with bottlenecks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.datasets.layout import Layout
from retrain_cli.datasets.sources.photo_source import PhotoSource
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.scan import PendingFile, Scan
from retrain_cli.workflows.sharding.shard_place import ShardPlace
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class OpenDataset:
    """A dataset that this process may fill: the lock is held, index and cache are open.

    Of a shard, this is a part of the dataset, in a workspace of its own.

    Attributes:
        workspace: where it is kept.
        place: of the shard; None for the whole dataset.
        used: which photos, which backbone.
        source: where the photos come from.
        index: what is known of the files.
        store: the cache.
        dataset: its number in the index.
        scan: what is to be done.
        layout: which classes there are.
        note: what is to be told of the backbone that was settled.
        warnings: what is to be told of the photos.
    """

    workspace: Workspace
    place: ShardPlace | None
    used: LastUsed
    source: PhotoSource
    index: FileIndex
    store: BottleneckStore
    dataset: int
    scan: Scan
    layout: Layout
    note: str = ""
    warnings: tuple[str, ...] = ()

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the images that need no forward pass."""
        return self.store.present(digests)

    def write(self, batch: Batch[PendingFile]) -> None:
        """Keep vectors first, so that the index never promises what the cache does not hold."""
        if batch.vectors is not None:
            self.store.put(batch.digests, batch.vectors)
        self.index.remember(self.dataset, [file.learnt(seen) for file, seen in batch.photos])

    def locate(self, file: PendingFile) -> str:
        """Where a file is."""
        return str(self.source.locate(file.relative))
