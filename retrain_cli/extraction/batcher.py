"""Full batches through the backbone, beside their collection and the writing."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ImageError, setting
from retrain_cli.extraction.forward import Forward, padded_rows, run_padded
from retrain_cli.extraction.writing import Record, Writer
from retrain_cli.images.decode import Pixels

MOST_AT_ONCE = 2
"""Batches in the forward pass: while the last requests of one finish, the next one's start."""


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
        stage: what is done before the first file, such as converting a network; else empty.
    """

    total: int
    done: int = 0
    computed: int = 0
    timed: int = 0
    cached: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    stage: str = ""

    @property
    def images_per_second(self) -> float | None:
        """Rate of the extraction, None before the second batch."""
        return self.timed / self.seconds if self.timed and self.seconds else None

    def take_bad(self, path: str, problem: str, strict: bool) -> None:
        """Count a file that is skipped; with `strict` that is an ImageError."""
        self.bad.append((path, problem))
        if strict:
            raise ImageError(f"{path}: {problem}; without {setting('strict')} it is skipped")


@dataclass(frozen=True, slots=True)
class _Running:
    """A batch in the forward pass, and the records of the files it came from."""

    digests: list[bytes]
    records: list[Record]
    vectors: Future[NDArray[np.float32]]


class Batcher:
    """Collects decoded images and sends full batches through the backbone.

    The first batch runs in the caller's thread, for it loads the backbone. Those after it run in
    threads of their own, so that the next one is collected meanwhile; as many side by side as the
    forward pass allows by its attribute `batches_at_once` (1 without it). Results are written in
    order. What was handed over is finished and kept, also after a fault or an interrupt.
    """

    def __init__(
        self, forward: Forward, writer: Writer, batch_size: int, counts: ExtractionCounts
    ) -> None:
        self._forward = forward
        self._writer = writer
        self._batch_size = batch_size
        self._counts = counts
        self._images: dict[bytes, Pixels] = {}  # by digest: a duplicate is computed once
        self._running: deque[_Running] = deque()
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "forward")
        self._of_thread = threading.local()
        self._first_done_at: float | None = None

    def __enter__(self) -> Batcher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while self._running:
                try:
                    self._finish_oldest()
                except BaseException:
                    if kind is None:  # else the first fault is the one to tell
                        raise
        finally:
            self._threads.shutdown(cancel_futures=True)

    def add(self, digest: bytes, pixels: Pixels) -> None:
        """Take a decoded image; computes when the batch is full."""
        if digest in self._images or self._is_running(digest):
            self._counts.cached += 1
            return
        self._images[digest] = pixels
        if len(self._images) == self._batch_size:
            self._drop_known()
        if len(self._images) == self._batch_size:
            self._send()

    def _drop_known(self) -> None:
        """Copies of images of earlier batches; they are looked up together, for that is faster."""
        for digest in self._writer.present(self._images.keys()):
            del self._images[digest]
            self._counts.cached += 1

    def flush(self) -> None:
        """Send what was collected, however little, through the backbone."""
        self._drop_known()
        if self._images:
            self._send()

    def _send(self) -> None:
        images, self._images = self._images, {}
        digests, pixels = list(images), list(images.values())
        records = self._writer.take_records()
        if self._first_done_at is None:
            rows = min(self._batch_size, padded_rows(len(pixels)))
            self._keep(digests, records, run_padded(self._forward, pixels, rows))
            return
        while len(self._running) >= self._allowed():
            self._finish_oldest()
        # One shape for the whole run, so that nothing is compiled anew.
        vectors = self._threads.submit(self._run, pixels)
        self._running.append(_Running(digests, records, vectors))

    def finish(self) -> None:
        """Compute and hand over everything."""
        self.flush()
        while self._running:
            self._finish_oldest()

    def _run(self, pixels: list[Pixels]) -> NDArray[np.float32]:
        """The forward pass of a batch, in one of the threads; each keeps its buffer."""
        if not hasattr(self._of_thread, "buffer"):
            self._of_thread.buffer = np.empty((self._batch_size, *pixels[0].shape), np.uint8)
        return run_padded(self._forward, pixels, self._batch_size, self._of_thread.buffer)

    def _allowed(self) -> int:
        return min(MOST_AT_ONCE, getattr(self._forward, "batches_at_once", 1))

    def _is_running(self, digest: bytes) -> bool:
        return any(digest in batch.digests for batch in self._running)

    def _finish_oldest(self) -> None:
        batch = self._running.popleft()
        self._keep(batch.digests, batch.records, batch.vectors.result())

    def _keep(
        self, digests: list[bytes], records: list[Record], vectors: NDArray[np.float32]
    ) -> None:
        self._writer.write(digests, vectors, records)
        self._count(len(digests))

    def _count(self, images: int) -> None:
        """The first pass also loads and compiles the backbone, so the clock starts after it."""
        self._counts.computed += images
        if self._first_done_at is None:
            self._first_done_at = time.monotonic()
        else:
            self._counts.timed += images
            self._counts.seconds = time.monotonic() - self._first_done_at
