"""Small pieces that every forward pass of the tool shares: bounded look-ahead, padded batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
R = TypeVar("R")

Pixels = NDArray[np.uint8]


class Forward(Protocol):
    """The forward pass: `(n, height, width, 3) uint8` -> `(n, width) float32`."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the bottlenecks of a batch."""
        ...


def run_padded(
    forward: Forward, images: Sequence[Pixels], rows: int, buffer: Pixels | None = None
) -> NDArray[np.float32]:
    """Bottlenecks `(len(images), width) float32` of a batch padded with black images to `rows`.

    A forward pass that says `any_batch_size` gets no padding.

    Args:
        forward: the forward pass.
        images: at most `rows` images of one size.
        rows: how many the forward pass is to get.
        buffer: where to put them together, `(rows or more, height, width, 3) uint8`; None for new
            memory, which the system hands out page by page.
    """
    count = len(images) if getattr(forward, "any_batch_size", False) else rows
    batch = np.empty((count, *images[0].shape), np.uint8) if buffer is None else buffer[:count]
    np.stack(images, out=batch[: len(images)])
    batch[len(images) :] = 0
    return forward(batch)[: len(images)]


def padded_rows(count: int) -> int:
    """The next power of two: few shapes, so that few programs are compiled."""
    return 1 << (count - 1).bit_length()


def bounded_map(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int
) -> Generator[tuple[T, R], None, None]:
    """`(item, function(item))` in order, at most `ahead` items under way; the rest is cancelled."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(function, item)))
            if len(waiting) >= ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()
