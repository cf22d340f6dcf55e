"""The writer: one thread that keeps results beside the forward pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.file_index import FileRecord

_RECORDS_PER_WRITE = 100
"""Of files that wait for no vector; progress counts what is written, so it should not be many."""

Record = tuple[str, str, FileRecord]
"""Folder, name and what was learnt of a file."""


class Sink(Protocol):
    """Where results are kept; each call is one transaction."""

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the images that need no forward pass."""
        ...

    def write(
        self,
        digests: list[bytes],
        vectors: NDArray[np.float32] | None,
        records: list[Record],
    ) -> None:
        """Keep the vectors of `digests` and what was learnt of the files."""
        ...


class Writer:
    """Writes beside the forward pass, one batch behind; its errors surface at the next call.

    Attributes:
        files: how many files are written: with their vector, or as known, or as bad.
        vectors: how many vectors are written.
    """

    def __init__(self, sink: Sink) -> None:
        self.files = self.vectors = 0
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, "writer")
        self._last: Future[None] | None = None
        self._under_way: frozenset[bytes] = frozenset()
        self._records: list[Record] = []
        self._settled: list[Record] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish what was handed over, also when interrupted: it is worth keeping."""
        try:
            # After a fault those that wait have no vector, so they are as if never seen.
            left = self.take_records() if kind is None else self._take_settled()
            self._submit([], None, left)
            self._wait()
        except Exception:
            if kind is None:  # else the first error is the one to report
                raise
        finally:
            self._thread.shutdown()

    def present(self, digests: Collection[bytes]) -> set[bytes]:
        """Those of the images that were computed already, written or just about to be."""
        return self._sink.present(digests) | self._under_way.intersection(digests)

    def record(self, folder: str, name: str, record: FileRecord, *, waits: bool = False) -> None:
        """Remember a file with the next write; one that `waits` with the batch of its vector."""
        if waits:
            self._records.append((folder, name, record))
            return
        self._settled.append((folder, name, record))
        if len(self._settled) >= _RECORDS_PER_WRITE:
            self._submit([], None, self._take_settled())

    def take_records(self) -> list[Record]:
        """What was remembered so far: it is to be written with the batch that follows from it."""
        records, self._records = self._records, []
        return records + self._take_settled()

    def _take_settled(self) -> list[Record]:
        records, self._settled = self._settled, []
        return records

    def write(
        self, digests: list[bytes], vectors: NDArray[np.float32], records: list[Record]
    ) -> None:
        """Write a batch, and the files it came from."""
        self._submit(digests, vectors, records)

    def _submit(
        self, digests: list[bytes], vectors: NDArray[np.float32] | None, records: list[Record]
    ) -> None:
        self._wait()
        self._under_way = frozenset(digests)
        self._last = self._thread.submit(self._write, digests, vectors, records)

    def _write(
        self, digests: list[bytes], vectors: NDArray[np.float32] | None, records: list[Record]
    ) -> None:
        self._sink.write(digests, vectors, records)
        self.files += len(records)
        self.vectors += len(digests)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
