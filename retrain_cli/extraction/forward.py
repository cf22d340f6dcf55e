"""The forward pass, as extraction sees it, and batches of one shape for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.decode import Pixels


class Forward(Protocol):
    """The forward pass: `(n, height, width, 3) uint8` -> `(n, width) float32`.

    Every backbone is one.
    """

    @property
    def any_batch_size(self) -> bool:
        """Whether batches of any size cost nothing more; else each size is compiled anew."""
        ...

    @property
    def batches_at_once(self) -> int:
        """How many calls may run side by side, each in a thread of its own."""
        ...

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the bottlenecks of a batch."""
        ...


def run_padded(
    forward: Forward, images: Sequence[Pixels], rows: int, buffer: Pixels | None = None
) -> NDArray[np.float32]:
    """Bottlenecks `(len(images), width) float32` of a batch padded with black images to `rows`.

    A forward pass that takes any batch size gets no padding.

    Args:
        forward: the forward pass.
        images: at most `rows` images of one size.
        rows: how many the forward pass is to get.
        buffer: where to put them together, `(rows or more, height, width, 3) uint8`; None for new
            memory, which the system hands out page by page.
    """
    count = len(images) if forward.any_batch_size else rows
    batch = np.empty((count, *images[0].shape), np.uint8) if buffer is None else buffer[:count]
    np.stack(images, out=batch[: len(images)])
    batch[len(images) :] = 0
    return forward(batch)[: len(images)]


def padded_rows(count: int) -> int:
    """The next power of two: few shapes, so that few programs are compiled."""
    return 1 << (count - 1).bit_length()
