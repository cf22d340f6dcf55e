"""Several views of each photo through the backbone: each file is read and decoded once."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import LazyBackbone
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.cache.array_batch import ArrayBatch
from retrain_cli.cache.array_rows import ArrayRows
from retrain_cli.extraction.batcher import Batch
from retrain_cli.extraction.forward import Forward
from retrain_cli.extraction.pipeline import ExtractionSettings, Extractor
from retrain_cli.extraction.process_readers import ProcessReaders
from retrain_cli.extraction.readers import Readers, ThreadReaders
from retrain_cli.images.distortions import Distortion, decode_views

PhotoT = TypeVar("PhotoT")


class ViewForward:
    """The forward pass of photos that are several pictures each.

    Args:
        forward: the forward pass of pictures.
    """

    def __init__(self, forward: Forward) -> None:
        self._forward = forward

    @property
    def any_batch_size(self) -> bool:
        """See `Forward`."""
        return self._forward.any_batch_size

    @property
    def batches_at_once(self) -> int:
        """See `Forward`."""
        return self._forward.batches_at_once

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`(n, n_views, height, width, 3) uint8` -> `(n, n_views * width) float32`."""
        vectors = self._forward(images.reshape(-1, *images.shape[2:]))
        return vectors.reshape(len(images), -1)


class ViewSink(Generic[PhotoT]):
    """Keeps the vectors of views beside those of the plain photos.

    Args:
        arrays: where they go.
        views: the numbers of the views that each photo's vectors are of.
    """

    def __init__(self, arrays: ArrayRows, views: tuple[int, ...]) -> None:
        self._arrays, self._views = arrays, views

    def present(self, digests: Iterable[bytes]) -> set[bytes]:
        """Those of the images of which every view is kept."""
        wanted = set(digests)
        keys = [(digest, view) for digest in wanted for view in self._views]
        missing = set(keys) - self._arrays.present(keys)
        return wanted - {digest for digest, _ in missing}

    def write(self, batch: Batch[PhotoT]) -> None:
        """Keep the vectors of a batch."""
        if batch.vectors is not None:
            keys = [(digest, view) for digest in batch.digests for view in self._views]
            self._arrays.put(keys, ArrayBatch(batch.vectors.reshape(len(keys), -1)))


def view_extractor(
    spec: BackboneSpec,
    backbone: LazyBackbone,
    distortion: Distortion,
    views: tuple[int, ...],
    settings: ExtractionSettings,
) -> Extractor:
    """An extractor whose vectors are those of the views of a photo, end to end.

    Args:
        spec: the backbone, resolved.
        backbone: what computes; it is loaded by the first batch that needs it.
        distortion: how the views differ from the photo.
        views: their numbers; 0 is the plain photo.
        settings: how to extract.
    """
    size = backbone.input_size
    decode = partial(
        decode_views,
        size=size,
        rule=spec.resize_rule,
        distortion=distortion,
        views=views,
        timeout=settings.photo_timeout,
    )
    count = settings.reader_count

    def hire(photos: int) -> Readers:
        if settings.takes_processes(photos, max(size)):
            return ProcessReaders(decode, None, 3 * size[0] * size[1] * len(views), count)
        return ThreadReaders(decode, None, count)

    batch_size = max(1, settings.batch_size // len(views))
    return Extractor(ViewForward(backbone), hire, batch_size)
