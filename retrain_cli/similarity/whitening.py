"""Bottlenecks in a space where no direction counts more than another: cosines that tell more.

The directions in which the photos of a dataset differ most are those of its classes. Scaled to
equal variance, what is particular to one photo weighs as much: two photos of one kind move apart,
two versions of one photo stay together, and a photo of an unknown kind is far from every class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_COMPONENTS = 512
_IMAGES_PER_COMPONENT = 4  # fewer do not tell a variance
_MOST_SAMPLES = 20_000  # more change nothing that could be measured, and take time
_RIDGE = 0.1  # of the mean variance; keeps the smallest from being blown up
FEWEST_IMAGES = 40
"""With fewer images vectors are only scaled to length 1."""


@dataclass(frozen=True, eq=False)
class Whitening:
    """Principal components of some bottlenecks, each scaled to unit variance.

    Attributes:
        mean: `(width,) float32`.
        matrix: `(width, n_components) float32`; None where there were too few images.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32] | None

    @classmethod
    def fit(cls, bottlenecks: NDArray[np.float32]) -> Whitening:
        """Learn it from `(n_images, width) float32`; a fixed draw of 20,000 where there are more.

        The covariance is regularised as in J. Friedman, "Regularized Discriminant Analysis", 1989.
        """
        n_images, width = bottlenecks.shape
        if n_images < FEWEST_IMAGES:
            return cls(np.zeros(width, np.float32), None)
        draw = np.random.default_rng(0).permutation(n_images)[:_MOST_SAMPLES]
        drawn = bottlenecks[np.sort(draw)].astype(np.float64)
        mean = drawn.mean(axis=0)
        sample = drawn - mean
        eigenvalues, directions = np.linalg.eigh(sample.T @ sample / len(sample))
        kept = min(MOST_COMPONENTS, width, n_images // _IMAGES_PER_COMPONENT)
        variances = np.maximum(eigenvalues[-kept:], 0)
        ridge = _RIDGE * variances.mean() + np.finfo(np.float32).tiny
        scaled = directions[:, -kept:] / np.sqrt(variances + ridge)
        return cls(mean.astype(np.float32), scaled.astype(np.float32))

    def __call__(self, bottlenecks: NDArray[np.float32]) -> NDArray[np.float32]:
        """The bottlenecks in that space, `(n_images, n_components) float32`, not of length 1."""
        if self.matrix is None:
            return bottlenecks
        return np.asarray((bottlenecks - self.mean) @ self.matrix, np.float32)
