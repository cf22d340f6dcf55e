"""What labels a photo that somebody waits for: decoding, network and head, each to be called alone.

`Labeller` goes through many photos in order. A service has photos of many people at once, in no
order, and decides by itself which of them are computed together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.curves.rejection import Rejected
from retrain_cli.extraction.forward import Forward, padded_rows, run_padded
from retrain_cli.images.decode import Pixels, decode_image

Judge = Callable[
    [NDArray[np.float32], NDArray[np.float32]], Sequence[tuple[float | None, Rejected | None]]
]
"""Vectors and best scores in; of each photo its novelty, and why it is left unnamed, or None."""


@dataclass(frozen=True, eq=False)
class PhotoClassifier:
    """A run, or an exported file, that is ready to label.

    Attributes:
        labels: class names, in the order of the scores.
        size: (height, width) in pixels of what the network takes.
        resize: how a photo becomes that; see `images.resizing.ResizeRule`.
        forward: the network.
        scores: `(n, width) float32` vectors -> `(n, n_classes) float32` probabilities.
        judge: says which photos are left unnamed; None where all are named.
        device: where it computes, such as "cpu:0".
    """

    labels: tuple[str, ...]
    size: tuple[int, int]
    resize: str
    forward: Forward
    scores: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    judge: Judge | None = None
    device: str = "cpu:0"

    def decode(self, data: bytes, timeout: float, most_pixels: int) -> Pixels:
        """A photo's pixels, `(height, width, 3) uint8`; for any thread.

        Args:
            data: the file's bytes.
            timeout: as of `decode_image`.
            most_pixels: the same.

        Raises:
            ImageError: the bytes are no image that can be used.
        """
        return decode_image(data, self.size, self.resize, timeout, most_pixels)

    def vectors(self, photos: Sequence[Pixels]) -> NDArray[np.float32]:
        """What the network makes of some photos, `(n, width) float32`.

        As many threads as `forward.batches_at_once` may call it at a time.
        """
        return run_padded(self.forward, photos, padded_rows(len(photos)))

    def warm_up(self) -> None:
        """Load and compile what the first photo would wait for."""
        self.scores(self.vectors([np.zeros((*self.size, 3), np.uint8)]))
