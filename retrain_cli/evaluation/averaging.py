"""A head that is asked about several views of a photo, and answers with the mean of its scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.predictions import Classifier
from retrain_cli.evaluation.ranking import top_k


@dataclass(frozen=True, eq=False)
class AveragingHead:
    """Test-time augmentation: the mean of the probabilities of the photo and of its views.

    Attributes:
        head: what is asked about each of them.
        n_views: how many distorted views there are of each photo.
    """

    head: Classifier
    n_views: int

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.head.n_classes

    def log_probabilities(self, bottlenecks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logarithms of the mean probabilities, `(n_images, n_classes) float32`.

        Args:
            bottlenecks: `(n_images, (1 + n_views) * width) float32`, those of the plain photo and
                of its views, end to end.
        """
        times = 1 + self.n_views
        rows = bottlenecks.reshape(len(bottlenecks) * times, -1)
        logs = self.head.log_probabilities(rows).reshape(-1, times, self.n_classes)
        most = logs.max(axis=1, keepdims=True)
        mean = np.exp(logs - most).mean(axis=1)
        averaged: NDArray[np.float32] = np.log(mean) + most[:, 0]
        return averaged

    def top_k(
        self, bottlenecks: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As `Head.top_k`."""
        logs = self.log_probabilities(bottlenecks)
        indices = top_k(logs, min(k, self.n_classes))
        return indices, np.exp(np.take_along_axis(logs, indices, axis=1))
