"""Heatmaps by covering: what a class loses when a place of the photo is grey.

Slow, for it takes a forward pass a place, but it asks nothing of the network: M. Zeiler and
R. Fergus, "Visualizing and understanding convolutional networks", 2014.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.loader import Backbone
from retrain_cli.images.resizing import LETTERBOX_GREY

PLACES: Final = 7
"""Places a side; what covers one is two of them wide, so that each pixel is covered by several."""

N_PLACES: Final = PLACES * PLACES


class OccludingBackbone:
    """A backbone that is asked about each photo and about it with each place covered.

    Attributes:
        width: length of a row: a vector of the photo, then one of each place, row by row.
        vector_width: length of a vector.
        input_size, device, any_batch_size, batches_at_once: see `Backbone`.
    """

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self.vector_width = backbone.width
        self.width = backbone.width * (1 + N_PLACES)
        self.input_size = backbone.input_size
        self.device = backbone.device
        self.any_batch_size = True
        self.batches_at_once = backbone.batches_at_once

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Rows of a batch: (n, height, width, 3) uint8 RGB to (n, width) float32."""
        rows = [self._backbone(covered(image)).reshape(1, -1) for image in images]
        return np.concatenate([np.empty((0, self.width), np.float32), *rows])


def covered(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image, then it with each place covered: `(1 + places, height, width, 3) uint8`."""
    height, width = image.shape[:2]
    copies = np.repeat(image[np.newaxis], 1 + N_PLACES, axis=0)
    for place in range(N_PLACES):
        down, across = divmod(place, PLACES)
        copies[1 + place, _span(down, height), _span(across, width)] = LETTERBOX_GREY
    return copies


def _span(place: int, pixels: int) -> slice:
    middle = (place + 0.5) * pixels / PLACES
    half = pixels / PLACES
    return slice(max(0, round(middle - half)), min(pixels, round(middle + half)))
