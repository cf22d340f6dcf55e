"""Full batches through the backbone, beside their collection and their use."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli.extraction.forward import Forward, padded_rows, run_padded
from retrain_cli.images.decode import Pixels
from retrain_cli.images.examine import Examined

MOST_AT_ONCE = 2
"""Batches in the forward pass: while the last requests of one finish, the next one's start."""

_MOST_SETTLED = 100
"""Photos that need no vector, and are kept at the latest when there are so many of them."""

_MOST_COPIES = 1000
"""Copies of images of a batch that wait with it; it is not full, but they would be endless."""

PhotoT = TypeVar("PhotoT")


@dataclass(frozen=True, eq=False)
class Batch(Generic[PhotoT]):
    """Photos that are through, and the vectors that were computed for them.

    Attributes:
        photos: the photos, with what was found in each, but without pixels.
        digests: distinct images among them that were computed.
        vectors: `(len(digests), width) float32`; None where none was computed.
    """

    photos: list[tuple[PhotoT, Examined]]
    digests: list[bytes]
    vectors: NDArray[np.float32] | None

    @property
    def usable(self) -> list[bytes]:
        """Digests of the photos that are good, in order; copies are there each."""
        return [
            seen.digest
            for _, seen in self.photos
            if seen.digest is not None and seen.problem is None
        ]


@dataclass(frozen=True, slots=True)
class _Running(Generic[PhotoT]):
    """A batch in the forward pass, and the photos that it came from."""

    photos: list[tuple[PhotoT, Examined]]
    digests: list[bytes]
    vectors: Future[NDArray[np.float32] | None]


class Batcher(Generic[PhotoT]):
    """Collects decoded images and sends full batches through the backbone.

    The first batch runs in the caller's thread, for it loads the backbone. Those after it run in
    threads of their own, so that the next one is collected meanwhile; as many side by side as the
    forward pass allows. They are kept in order. What was handed over is finished and kept, also
    after a fault or an interrupt.

    Where vectors are written (`computed` is given), an image that was computed once is not computed
    again, a batch is full when so many new images are there, and photos that need none of its
    vectors may come before their turn. Else each batch is complete in itself and in order, and full
    when so many photos are there, so that none waits for others without end.

    Args:
        forward: the forward pass.
        size: images a batch.
        keep: takes each finished batch.
        computed: those of some digests whose vectors were kept earlier; None where none are.
    """

    def __init__(
        self,
        forward: Forward,
        size: int,
        keep: Callable[[Batch[PhotoT]], None],
        computed: Callable[[Collection[bytes]], set[bytes]] | None = None,
    ) -> None:
        self._forward, self._size = forward, size
        self._keep, self._computed = keep, computed
        self._photos: list[tuple[PhotoT, Examined]] = []
        self._settled: list[tuple[PhotoT, Examined]] = []
        self._images: dict[bytes, Pixels] = {}  # by digest: a duplicate is computed once
        self._running: deque[_Running[PhotoT]] = deque()
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "forward")
        self._of_thread = threading.local()
        self._is_first = True

    def __enter__(self) -> Batcher[PhotoT]:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            while self._running:
                try:
                    self._keep_oldest()
                except BaseException:
                    if kind is None:  # else the first fault is the one to tell
                        raise
            self._keep_settled()
        finally:
            self._threads.shutdown(cancel_futures=True)

    def add(self, photo: PhotoT, seen: Examined) -> None:
        """Take a photo; computes when the batch is full."""
        while self._running and self._running[0].vectors.done():
            self._keep_oldest()
        if self._computed is None:
            self._collect(photo, seen)
            if len(self._photos) == self._size:
                self.flush()
        elif seen.pixels is None:
            self._settled.append((photo, seen))
            if len(self._settled) >= _MOST_SETTLED:
                self._keep_settled()
        else:
            self._collect(photo, seen)
            if len(self._images) == self._size:
                self._drop_computed()
            if len(self._images) == self._size:
                self._send()
            elif len(self._photos) >= self._size + _MOST_COPIES:
                self.flush()

    def _collect(self, photo: PhotoT, seen: Examined) -> None:
        self._photos.append((photo, Examined(seen.digest, seen.problem)))
        if seen.pixels is None or seen.digest is None:
            return
        if self._computed is None or not self._is_running(seen.digest):
            self._images.setdefault(seen.digest, seen.pixels)

    def _drop_computed(self) -> None:
        """Copies of images of earlier batches; they are looked up together, for that is faster."""
        if self._computed is not None:
            for digest in self._computed(self._images.keys()):
                del self._images[digest]

    def _keep_settled(self) -> None:
        """Keep what needs no vector; also after a fault, when those that wait for one are lost."""
        if self._settled:
            settled, self._settled = self._settled, []
            self._keep(Batch(settled, [], None))

    def flush(self) -> None:
        """Send what was collected, however little, through the backbone."""
        self._drop_computed()
        if self._photos or self._settled:
            self._send()

    def finish(self) -> None:
        """Compute and keep everything."""
        self.flush()
        while self._running:
            self._keep_oldest()

    def _send(self) -> None:
        photos = self._settled + self._photos
        self._settled, self._photos = [], []
        images, self._images = self._images, {}
        digests, pixels = list(images), list(images.values())
        if not pixels and not self._running:
            self._keep(Batch(photos, [], None))
        elif self._is_first and pixels:
            self._is_first = False
            rows = padded_rows(len(pixels))
            rows = rows if self._computed is None else min(self._size, rows)
            self._keep(Batch(photos, digests, run_padded(self._forward, pixels, rows)))
        else:
            while len(self._running) >= min(MOST_AT_ONCE, self._forward.batches_at_once):
                self._keep_oldest()
            vectors = self._threads.submit(self._run, pixels)
            self._running.append(_Running(photos, digests, vectors))

    def _run(self, pixels: list[Pixels]) -> NDArray[np.float32] | None:
        """The forward pass of a batch, in one of the threads; each keeps its buffer."""
        if not pixels:
            return None
        # Where all batches but the last are full, one shape, so that nothing is compiled anew.
        rows = padded_rows(len(pixels)) if self._computed is None else self._size
        if not hasattr(self._of_thread, "buffer"):
            most = max(self._size, padded_rows(self._size))
            self._of_thread.buffer = np.empty((most, *pixels[0].shape), np.uint8)
        return run_padded(self._forward, pixels, rows, self._of_thread.buffer)

    def _is_running(self, digest: bytes) -> bool:
        return any(digest in batch.digests for batch in self._running)

    def _keep_oldest(self) -> None:
        batch = self._running.popleft()
        self._keep(Batch(batch.photos, batch.digests, batch.vectors.result()))
