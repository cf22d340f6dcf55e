"""How unlike the training photos an image is: its distance to the nearest class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.similarity.neighbours import nearest
from retrain_cli.similarity.whitening import Whitening


@dataclass(frozen=True, eq=False)
class NoveltyModel:
    """The classes in the space of whitened bottlenecks.

    The score is the cosine distance to the nearest class mean. Of what was tried it was the one
    that held on both backbones measured (docs/check.md): distances to the nearest photos, plain
    Mahalanobis distances and logits each fell far behind on one of them.

    Attributes:
        whitening: learnt on the training photos.
        means: `(n_classes, n_components) float32`, mean of each class.
    """

    whitening: Whitening
    means: NDArray[np.float32]

    @classmethod
    def fit(cls, bottlenecks: NDArray[np.float32], labels: NDArray[np.integer]) -> NoveltyModel:
        """Learn it.

        Args:
            bottlenecks: `(n_images, width) float32` of the training photos.
            labels: `(n_images,)` their classes.
        """
        whitening = Whitening.fit(bottlenecks)
        white = whitening(bottlenecks)
        means = np.stack([white[labels == label].mean(axis=0) for label in np.unique(labels)])
        return cls(whitening, means.astype(np.float32))

    def __call__(self, bottlenecks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Novelty of each image, `(n_images,) float32`, from 0 (as a class is) to 2."""
        nearest_class = nearest(self.whitening(bottlenecks), self.means, 1).similarity[:, 0]
        return np.asarray(1 - nearest_class, np.float32)
