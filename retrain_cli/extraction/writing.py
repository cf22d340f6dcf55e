"""The writer: one thread that keeps results beside the forward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.extraction.batcher import Batch

PhotoT = TypeVar("PhotoT")
_PhotoIn = TypeVar("_PhotoIn")


class Sink(Protocol[_PhotoIn]):
    """Where results are kept; each call is one transaction."""

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the images that need no forward pass."""
        ...

    def write(self, batch: Batch[_PhotoIn]) -> None:
        """Keep the vectors of a batch, and what was learnt of its photos."""
        ...


class CacheSink(Generic[PhotoT]):
    """Keeps vectors in a cache, and nothing of the photos."""

    def __init__(self, store: BottleneckStore) -> None:
        self._store = store

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the images that need no forward pass."""
        return self._store.present(digests)

    def write(self, batch: Batch[PhotoT]) -> None:
        """Keep the vectors of a batch."""
        if batch.vectors is not None:
            self._store.put(batch.digests, batch.vectors)


class Writer(Generic[PhotoT]):
    """Writes beside the forward pass, one batch behind; its errors surface at the next call.

    Args:
        sink: where to.
        on_written: is told of each batch that is written, in the writer's thread.
    """

    def __init__(
        self,
        sink: Sink[PhotoT],
        on_written: Callable[[Batch[PhotoT]], None] = lambda batch: None,
    ) -> None:
        self._sink, self._on_written = sink, on_written
        self._thread = ThreadPoolExecutor(1, "writer")
        self._last: Future[None] | None = None
        self._under_way: frozenset[bytes] = frozenset()

    def __enter__(self) -> Writer[PhotoT]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish what was handed over, also when interrupted: it is worth keeping."""
        try:
            self._wait()
        except Exception:
            if kind is None:  # else the first error is the one to report
                raise
        finally:
            self._thread.shutdown()

    def present(self, digests: Collection[bytes]) -> set[bytes]:
        """Those of the images that were computed already, written or just about to be."""
        return self._sink.present(digests) | self._under_way.intersection(digests)

    def write(self, batch: Batch[PhotoT]) -> None:
        """Write a batch."""
        self._wait()
        self._under_way = frozenset(batch.digests)
        self._last = self._thread.submit(self._write, batch)

    def _write(self, batch: Batch[PhotoT]) -> None:
        self._sink.write(batch)
        self._on_written(batch)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
