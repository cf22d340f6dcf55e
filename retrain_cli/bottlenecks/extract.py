"""The extraction pipeline: read and decode in threads, forward pass, write beside it.

    pending files -> pool of readers -> batch -> backbone -> writer
                     (read, digest,             (threads,    (one thread,
                      decode)                    in turn)     one transaction a batch)

Memory is bounded by the look-ahead, whatever the number of images. Every batch that was written
stays, whatever happens after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from retrain_cli.bottlenecks.batching import Forward, bounded_map
from retrain_cli.bottlenecks.file_index import FileRecord
from retrain_cli.bottlenecks.forwarding import Batcher, ExtractionCounts
from retrain_cli.bottlenecks.heap import keep_freed_memory
from retrain_cli.bottlenecks.reader import Decoder, Examined, examine_file
from retrain_cli.bottlenecks.writing import Sink, Writer
from retrain_cli.engine import check_device
from retrain_cli.errors import ConfigError


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
    keep_freed_memory()
    counts = ExtractionCounts(total=len(pending))
    ahead = 2 * settings.batch_size + settings.threads
    with (
        ThreadPoolExecutor(settings.threads, "reader") as readers,
        Writer(sink) as writer,
        Batcher(forward, writer, settings.batch_size, counts) as batches,
    ):

        def examine(file: PendingFile) -> Examined:
            return examine_file(file.path(root), decode, sink.is_cached)

        with closing(bounded_map(readers, examine, pending, ahead)) as results:
            for file, examined in results:
                _take(file, examined, batches, writer, counts, settings.strict)
                counts.done += 1
                on_progress(counts)
        batches.finish()
    on_progress(counts)
    return counts


def _take(
    file: PendingFile,
    examined: Examined,
    batches: Batcher,
    writer: Writer,
    counts: ExtractionCounts,
    strict: bool,
) -> None:
    """Put one examined file on its way."""
    if examined.problem is not None:
        counts.take_bad(f"{file.folder}/{file.name}", examined.problem, strict)
    record = FileRecord(file.size, file.mtime_ns, examined.digest, examined.problem)
    writer.record(file.folder, file.name, record)
    if examined.pixels is not None and examined.digest is not None:
        batches.add(examined.digest, examined.pixels)
    elif examined.digest is not None and examined.problem is None:
        counts.cached += 1
