"""Where the numbers of a batch come from: cached activations, or photos that are decoded anew.

A distorted view of a photo is asked for by a row of its own: view `v` of photo `p` of a dataset of
`n` photos is row `v * n + p`, as in `HeadData.with_views`, so that the photos are the first rows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.array_rows import ArrayKey
from retrain_cli.errors import DatasetError, ImageError
from retrain_cli.finetuning.activation_cache import PLAIN, ActivationCache
from retrain_cli.finetuning.tuned_network import Arrays
from retrain_cli.images.distortions import Distortion, decode_views
from retrain_cli.images.photo_files import read_file
from retrain_cli.parallel import usable_processors

_AHEAD = 2


class BatchSource(Protocol):
    """Gives the numbers of photos and of their views."""

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """What the network is given for these rows, in their order."""
        ...


class CachedActivations:
    """Activations from the cache.

    Args:
        digests: of each photo of the dataset.
        plain: holds those of all photos.
        views: holds those of the views that are asked for; None where none is.
    """

    def __init__(
        self,
        digests: Sequence[bytes],
        plain: ActivationCache,
        views: ActivationCache | None = None,
    ) -> None:
        self._digests, self._plain, self._views = digests, plain, views

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """See `BatchSource`."""
        views, photos = np.divmod(rows, len(self._digests))
        keys = [
            (self._digests[photo], view)
            for photo, view in zip(photos.tolist(), views.tolist(), strict=True)
        ]
        if self._views is None or not views.any():
            return self._plain.read(keys)
        if views.all():
            return self._views.read(keys)
        return self._mixed(keys, views == PLAIN)

    def _mixed(self, keys: list[ArrayKey], is_plain: NDArray[np.bool_]) -> Arrays:
        assert self._views is not None
        plain = self._plain.read([key for key in keys if key[1] == PLAIN])
        views = self._views.read([key for key in keys if key[1] != PLAIN])
        mixed = []
        for some, others in zip(plain, views, strict=True):
            array = np.empty((len(keys), *some.shape[1:]), some.dtype)
            array[is_plain], array[~is_plain] = some, others
            mixed.append(array)
        return mixed


class DecodedPhotos:
    """Pixels of photos, read, decoded and distorted by threads each time they are asked for.

    Args:
        paths: of each photo of the dataset.
        side: pixels a side.
        rule: how a photo becomes a square, as `BackboneSpec.resize_rule`.
        distortion: how views differ from the photo.
        workers: how many threads.
    """

    def __init__(
        self,
        paths: Sequence[PurePath],
        side: int,
        rule: str,
        distortion: Distortion,
        workers: int | None = None,
    ) -> None:
        self._paths = paths
        self._decode = partial(decode_views, size=(side, side), rule=rule, distortion=distortion)
        self._threads = ThreadPoolExecutor(workers or usable_processors(), "decoder")

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """See `BatchSource`."""
        return [np.stack(list(self._threads.map(self._pixels, rows.tolist())))]

    def _pixels(self, row: int) -> NDArray[np.uint8]:
        view, photo = divmod(row, len(self._paths))
        path = self._paths[photo]
        try:
            pixels: NDArray[np.uint8] = self._decode(read_file(path), views=(view,))[0]
            return pixels
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
