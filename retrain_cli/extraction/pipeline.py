"""The extraction pipeline: read and decode side by side, forward pass, write beside it.

    pending files -> readers        -> batch -> backbone -> writer
                     (threads or                (threads,    (one thread,
                      processes:                 in turn)     one transaction a batch)
                      read, digest,
                      decode)

Memory is bounded by the look-ahead, whatever the number of images. Every batch that was written
stays, whatever happens after it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import get_args

from retrain_cli.engine import check_device
from retrain_cli.errors import ConfigError
from retrain_cli.extraction.batcher import Batcher, ExtractionCounts
from retrain_cli.extraction.forward import Forward
from retrain_cli.extraction.heap import keep_freed_memory
from retrain_cli.extraction.readers import PendingFile, ReaderKind, Readers
from retrain_cli.extraction.writing import Sink, Writer
from retrain_cli.images.examine import Examined
from retrain_cli.parallel import usable_processors

_MANY_FILES = 1000
"""From so many on it pays to start processes, which takes each of them a third of a second."""

_SMALL_SIDE, _FEW_THREADS = 160, 4
"""Pixels up to which threads wait for Python's lock more than they decode; and how many of them can
share it with larger photos, whose way through a pipe costs processes a sixth of their time."""


@dataclass(frozen=True)
class ExtractionSettings:
    """How to extract; nothing here changes a vector.

    Attributes:
        batch_size: images a forward pass.
        workers: readers, who read and decode; None: one a processor.
        device: auto, cpu, gpu or gpu:N.
        strict: the first bad image is an error.
        readers: threads, processes or auto: processes where the work is worth their start.
    """

    batch_size: int = 32
    workers: int | None = None
    device: str = "auto"
    strict: bool = False
    readers: ReaderKind = "auto"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"--batch-size must be at least 1, not {self.batch_size}")
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"--workers must be at least 1, not {self.workers}")
        if self.readers not in get_args(ReaderKind):
            kinds = ", ".join(get_args(ReaderKind))
            raise ConfigError(f"--readers takes one of {kinds}, not {self.readers!r}")
        check_device(self.device)

    @property
    def threads(self) -> int:
        """Number of readers."""
        return self.workers or usable_processors()

    def takes_processes(self, files: int, side: int) -> bool:
        """Whether so many files, decoded to so many pixels a side, are read by processes."""
        if self.readers == "auto":
            contended = side <= _SMALL_SIDE or self.threads > _FEW_THREADS
            return bool(sys.executable) and self.threads > 1 and files >= _MANY_FILES and contended
        return self.readers == "processes"


Progress = Callable[[ExtractionCounts], None]


def extract(
    pending: Sequence[PendingFile],
    readers: Readers,
    sink: Sink,
    forward: Forward,
    settings: ExtractionSettings,
    on_progress: Progress,
) -> ExtractionCounts:
    """Compute and keep the bottlenecks of `pending`; see the module's picture.

    Raises:
        ImageError: a bad image, with `settings.strict`.
        CacheError: the cache cannot be written.
        ReaderError: a reading process does not start.
    """
    keep_freed_memory()
    counts = ExtractionCounts(total=len(pending))
    with (
        readers,
        Writer(sink) as writer,
        Batcher(forward, writer, settings.batch_size, counts) as batches,
        closing(readers.results(pending, 2 * settings.batch_size)) as results,
    ):
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
    writer.record(file.folder, file.name, file.record(examined))
    if examined.pixels is not None and examined.digest is not None:
        batches.add(examined.digest, examined.pixels)
    elif examined.digest is not None and examined.problem is None:
        counts.cached += 1
