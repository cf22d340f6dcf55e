"""The writer: one thread that keeps results beside the forward pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.file_index import FileRecord

_RECORDS_PER_WRITE = 1000

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
    """Writes beside the forward pass, one batch behind; its errors surface at the next call."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, "writer")
        self._last: Future[None] | None = None
        self._under_way: frozenset[bytes] = frozenset()
        self._records: list[Record] = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish what was handed over, also when interrupted: it is worth keeping."""
        try:
            self._submit([], None, self.take_records())
            self._wait()
        except Exception:
            if kind is None:  # else the first error is the one to report
                raise
        finally:
            self._thread.shutdown()

    def present(self, digests: Collection[bytes]) -> set[bytes]:
        """Those of the images that were computed already, written or just about to be."""
        return self._sink.present(digests) | self._under_way.intersection(digests)

    def record(self, folder: str, name: str, record: FileRecord) -> None:
        """Remember a file with the next write."""
        self._records.append((folder, name, record))
        if len(self._records) >= _RECORDS_PER_WRITE:
            self._submit([], None, self.take_records())

    def take_records(self) -> list[Record]:
        """What was remembered so far: it is to be written with the batch that follows from it."""
        records, self._records = self._records, []
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
        self._last = self._thread.submit(self._sink.write, digests, vectors, records)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
