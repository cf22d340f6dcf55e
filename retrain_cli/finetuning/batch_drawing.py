"""Which photos, and which views of them, each step of an epoch trains on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.sampling import BalancedSampler


class BatchDraw:
    """Draws the batches of an epoch; of an epoch always the same.

    Each time that a photo's turn comes, the photo itself or one of its views is taken, each as
    likely. Where they are decoded anew, views are as many as there are epochs: each epoch takes the
    one of its own number, which no epoch before it has seen.

    Args:
        data: which photos train, and their labels.
        config: the settings.
        fresh: whether views are decoded anew.
    """

    def __init__(self, data: HeadData, config: TuningConfig, *, fresh: bool = False) -> None:
        self._training, self._labels = data.training, data.labels
        self._config, self._fresh = config, fresh
        self.batch = min(config.batch_size, len(data.training))
        self.steps = math.ceil(len(data.training) / self.batch)

    def epoch(self, epoch: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """The rows of each batch, as `batch_sources` counts them, and their labels."""
        views = np.random.default_rng([self._config.seed, epoch, _VIEWS])
        for places in self._places(epoch):
            photos = self._training[places]
            view = views.integers(0, self._config.views + 1, len(photos))
            if self._fresh:
                view = np.where(view > 0, epoch, 0)
            yield view * len(self._labels) + photos, self._labels[photos].astype(np.int32)

    def _places(self, epoch: int) -> Iterator[NDArray[np.int64]]:
        """The positions of each batch among the training photos."""
        seed = [self._config.seed, epoch]
        labels = self._labels[self._training]
        if self._config.sampling == "balanced":
            yield from BalancedSampler(labels, _mixed(seed)).draw(self.steps, self.batch)
            return
        order = np.random.default_rng(seed).permutation(len(labels))
        short = self.steps * self.batch - len(order)
        # All batches are of one shape: the last one is filled up with photos that had their turn.
        yield from np.concatenate([order, order[:short]]).reshape(self.steps, self.batch)


_VIEWS = 1
"""Keeps the draw of views apart from that of photos."""


def _mixed(seed: list[int]) -> int:
    return int(np.random.default_rng(seed).integers(2**31))
