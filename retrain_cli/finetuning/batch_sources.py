"""Where the numbers of a batch come from: cached activations, or photos that are decoded anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import DatasetError, ImageError
from retrain_cli.finetuning.activation_cache import ActivationCache
from retrain_cli.finetuning.tuned_network import Arrays
from retrain_cli.images.decode import decode_image
from retrain_cli.parallel import usable_processors

_AHEAD = 2


class BatchSource(Protocol):
    """Gives the numbers of photos, by their rows in the dataset."""

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """What the network is given for these photos, in their order."""
        ...


class CachedActivations:
    """Activations from the cache.

    Args:
        cache: that holds them all.
        digests: of each row of the dataset.
    """

    def __init__(self, cache: ActivationCache, digests: Sequence[bytes]) -> None:
        self._cache, self._digests = cache, digests

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """See `BatchSource`."""
        return self._cache.read([self._digests[row] for row in rows])


class DecodedPhotos:
    """Pixels of photos, read and decoded by threads each time they are asked for.

    Args:
        paths: of each row of the dataset.
        side: pixels a side.
        rule: how a photo becomes a square, as `BackboneSpec.resize_rule`.
        workers: how many threads.
    """

    def __init__(
        self, paths: Sequence[Path], side: int, rule: str, workers: int | None = None
    ) -> None:
        self._paths = paths
        self._decode = partial(decode_image, size=(side, side), rule=rule)
        self._threads = ThreadPoolExecutor(workers or usable_processors(), "decoder")

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """See `BatchSource`."""
        return [np.stack(list(self._threads.map(self._pixels, rows.tolist())))]

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        path = self._paths[row]
        try:
            return self._decode(path.read_bytes())
        except (OSError, ImageError) as error:
            raise DatasetError(
                f"each photo is read anew in each epoch, and {path} cannot be any more ({error}): "
                "run `retrain bottlenecks` again"
            ) from error


def read_ahead(
    source: BatchSource, batches: Iterable[NDArray[np.int64]]
) -> Generator[Arrays, None, None]:
    """The numbers of each batch, read by a thread while those before it are worked on."""
    waiting: deque[Future[Arrays]] = deque()
    with ThreadPoolExecutor(1, "batches") as thread:
        try:
            for rows in batches:
                waiting.append(thread.submit(source.read, rows))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()
