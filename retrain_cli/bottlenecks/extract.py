"""The extraction pipeline: read and decode in threads, forward pass, write beside it.

    pending files -> pool of readers -> batch -> backbone -> writer
                     (read, digest,             (caller's    (one thread,
                      decode)                    thread)      one transaction a batch)

Memory is bounded by the look-ahead, whatever the number of images. Every batch that was written
stays, whatever happens after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.bottlenecks.batching import (
    Forward,
    Pixels,
    bounded_map,
    padded_rows,
    run_padded,
)
from retrain_cli.bottlenecks.file_index import FileRecord
from retrain_cli.bottlenecks.reader import Decoder, Examined, examine_file
from retrain_cli.engine import check_device
from retrain_cli.errors import ConfigError, ImageError

_RECORDS_PER_WRITE = 1000


class Sink(Protocol):
    """Where results are kept; each call is one transaction."""

    def is_cached(self, digest: bytes) -> bool:
        """Whether this image needs no forward pass."""
        ...

    def write(
        self,
        digests: list[bytes],
        vectors: NDArray[np.float32] | None,
        records: list[tuple[str, str, FileRecord]],
    ) -> None:
        """Keep the vectors of `digests` and what was learnt of the files."""
        ...


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file to look into.

    Attributes:
        folder: relative to the dataset's root.
        name: its name in there.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds.
        was_bad: it did not change since it was found to be no good.
    """

    folder: str
    name: str
    size: int
    mtime_ns: int
    was_bad: bool = False

    def path(self, root: Path) -> Path:
        """Where it lies."""
        return root / self.folder / self.name


@dataclass(frozen=True)
class ExtractionSettings:
    """How to extract; nothing here changes a vector.

    Attributes:
        batch_size: images a forward pass.
        workers: threads that read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
        strict: the first bad image is an error.
    """

    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    strict: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size must be at least 1, not {self.batch_size}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers must be at least 1, not {self.workers}")
        check_device(self.device)

    @property
    def threads(self) -> int:
        """Number of reader threads."""
        return self.workers or usable_processors()


@dataclass
class ExtractionCounts:
    """What was done so far; updated in place and handed to the progress callback.

    Attributes:
        total: files to look into.
        done: files looked into.
        computed: bottlenecks computed and written.
        cached: images whose bottleneck was in the cache already.
        bad: files that were skipped, as (path relative to the root, reason).
        timed: those of `computed` that came after the first forward pass, which also loads and
            compiles the backbone.
        seconds: time that `timed` took, end to end.
    """

    total: int
    done: int = 0
    computed: int = 0
    timed: int = 0
    cached: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def images_per_second(self) -> float | None:
        """Rate of the extraction, None before the second batch."""
        return self.timed / self.seconds if self.timed and self.seconds else None

    def take_bad(self, file: PendingFile, problem: str, strict: bool) -> None:
        """Count a file that is skipped; with `strict` that is an ImageError."""
        self.bad.append((f"{file.folder}/{file.name}", problem))
        if strict:
            raise ImageError(f"{self.bad[-1][0]}: {problem}; without --strict it is skipped")


Progress = Callable[[ExtractionCounts], None]


def usable_processors() -> int:
    """Processors that this process may use (a container may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def extract(
    root: Path,
    pending: list[PendingFile],
    sink: Sink,
    forward: Forward,
    decode: Decoder,
    settings: ExtractionSettings,
    on_progress: Progress,
) -> ExtractionCounts:
    """Compute and keep the bottlenecks of `pending`; see the module's picture.

    Raises:
        ImageError: a bad image, with `settings.strict`.
        CacheError: the cache cannot be written.
    """
    counts = ExtractionCounts(total=len(pending))
    ahead = 2 * settings.batch_size + settings.threads
    with (
        ThreadPoolExecutor(settings.threads, "reader") as readers,
        _Writer(sink) as writer,
    ):
        batches = _Batcher(forward, writer, settings.batch_size, counts)

        def examine(file: PendingFile) -> Examined:
            return examine_file(file.path(root), decode, sink.is_cached)

        with closing(bounded_map(readers, examine, pending, ahead)) as results:
            for file, examined in results:
                _take(file, examined, batches, writer, counts, settings.strict)
                counts.done += 1
                on_progress(counts)
        batches.flush()
    on_progress(counts)
    return counts


def _take(
    file: PendingFile,
    examined: Examined,
    batches: _Batcher,
    writer: _Writer,
    counts: ExtractionCounts,
    strict: bool,
) -> None:
    """Put one examined file on its way."""
    if examined.problem is not None:
        counts.take_bad(file, examined.problem, strict)
    record = FileRecord(file.size, file.mtime_ns, examined.digest, examined.problem)
    writer.record(file.folder, file.name, record)
    if examined.pixels is not None and examined.digest is not None:
        batches.add(examined.digest, examined.pixels)
    elif examined.digest is not None and examined.problem is None:
        counts.cached += 1


class _Batcher:
    """Collects decoded images and sends full batches through the backbone."""

    def __init__(
        self, forward: Forward, writer: _Writer, batch_size: int, counts: ExtractionCounts
    ) -> None:
        self._forward = forward
        self._writer = writer
        self._batch_size = batch_size
        self._counts = counts
        self._images: dict[bytes, Pixels] = {}  # by digest: a duplicate is computed once
        self._first_done_at: float | None = None

    def add(self, digest: bytes, pixels: Pixels) -> None:
        if digest in self._images or self._writer.has(digest):
            self._counts.cached += 1
            return
        self._images[digest] = pixels
        if len(self._images) == self._batch_size:
            self.flush()

    def flush(self) -> None:
        if not self._images:
            return
        vectors = run_padded(self._forward, list(self._images.values()), self._rows())
        self._writer.write(list(self._images), vectors)
        self._count(len(self._images))
        self._images.clear()

    def _rows(self) -> int:
        """Rows of the array that goes in: one shape for a whole run, so that nothing recompiles."""
        if self._first_done_at is not None:
            return self._batch_size
        return min(self._batch_size, padded_rows(len(self._images)))

    def _count(self, images: int) -> None:
        """The first pass also loads and compiles the backbone, so the clock starts after it."""
        self._counts.computed += images
        if self._first_done_at is None:
            self._first_done_at = time.monotonic()
        else:
            self._counts.timed += images
            self._counts.seconds = time.monotonic() - self._first_done_at


class _Writer:
    """Writes beside the forward pass, one batch behind; its errors surface at the next call."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._thread = ThreadPoolExecutor(1, "writer")
        self._last: Future[None] | None = None
        self._under_way: frozenset[bytes] = frozenset()
        self._records: list[tuple[str, str, FileRecord]] = []

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish what was handed over, also when interrupted: it is worth keeping."""
        try:
            self._submit([], None)
            self._wait()
        except Exception:
            if kind is None:  # else the first error is the one to report
                raise
        finally:
            self._thread.shutdown()

    def has(self, digest: bytes) -> bool:
        """Whether this image was computed already, written or just about to be."""
        return digest in self._under_way or self._sink.is_cached(digest)

    def record(self, folder: str, name: str, record: FileRecord) -> None:
        """Remember a file with the next write."""
        self._records.append((folder, name, record))
        if len(self._records) >= _RECORDS_PER_WRITE:
            self._submit([], None)

    def write(self, digests: list[bytes], vectors: NDArray[np.float32]) -> None:
        """Write a batch, and the records collected so far."""
        self._submit(digests, vectors)

    def _submit(self, digests: list[bytes], vectors: NDArray[np.float32] | None) -> None:
        self._wait()
        records, self._records = self._records, []
        self._under_way = frozenset(digests)
        self._last = self._thread.submit(self._sink.write, digests, vectors, records)

    def _wait(self) -> None:
        if self._last is not None:
            self._last.result()
