"""How unlike the training photos an image is: its distance to the nearest class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import rows_of_classes
from retrain_cli.similarity.neighbours import unit_rows
from retrain_cli.similarity.whitening import Whitening

_RIDGE = 0.1  # of the mean variance within classes
_CHUNK_DISTANCES = 4_000_000  # held at a time, of each kind


@dataclass(frozen=True, eq=False)
class NoveltyModel:
    """The classes in the space of whitened bottlenecks.

    The score adds three distances to the nearest class mean: the cosine distance, which tells other
    classes of the same kind, the Mahalanobis distance by the variance within classes, which tells
    photos of another kind, and the cosine distance of the bottlenecks as they are, which tells them
    where whitening hides it. Each alone fails at what others do; see docs/check.md.

    Attributes:
        whitening: learnt on the training photos.
        classes: `(n_classes,)`, the classes that have training photos.
        means: `(n_classes, n_components) float32`, mean of each class.
        plain_means: `(n_classes, width) float32`, the same of the bottlenecks as they are.
        root: `(n_components, n_components) float32`, a root of the inverse of the covariance within
            classes; None where photos are too few to tell it.
        centre: mean of each distance over known photos, `(n_distances,)`.
        spread: their standard deviations.
    """

    whitening: Whitening
    classes: NDArray[np.integer]
    means: NDArray[np.float32]
    plain_means: NDArray[np.float32]
    root: NDArray[np.float32] | None
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def fit(
        cls,
        bottlenecks: NDArray[np.float32],
        labels: NDArray[np.integer],
        known: NDArray[np.float32],
    ) -> NoveltyModel:
        """Learn it.

        Args:
            bottlenecks: `(n_images, width) float32` of the training photos.
            labels: `(n_images,)` their classes.
            known: `(n_known, width) float32` of other photos of these classes, on which all
                distances are brought to one scale.
        """
        whitening = Whitening.fit(bottlenecks)
        white = whitening(bottlenecks)
        classes, numbers = np.unique(labels, return_inverse=True)
        of_classes = rows_of_classes(numbers, len(classes))
        means, plain = (
            np.stack([vectors[rows].mean(axis=0) for rows in of_classes])
            for vectors in (white, bottlenecks)
        )
        root = None if whitening.matrix is None else _root(white - means[numbers])
        zero, one = np.zeros(1), np.ones(1)
        model = cls(
            whitening, classes, means.astype(np.float32), plain.astype(np.float32), root, zero, one
        )
        distances = model.distances(known)
        spread = np.maximum(distances.std(axis=0), np.finfo(np.float32).tiny)
        return replace(model, centre=distances.mean(axis=0), spread=spread)

    def distances(
        self, bottlenecks: NDArray[np.float32], left_out: NDArray[np.integer] | None = None
    ) -> NDArray[np.float64]:
        """Each distance to the nearest class, `(n_images, n_distances)`; one where photos are few.

        Args:
            bottlenecks: `(n_images, width) float32`.
            left_out: `(n_images,)`, a class of each image that is taken as if it were not there.
        """
        size = max(1, _CHUNK_DISTANCES // len(self.classes))
        found = []
        for start in range(0, max(1, len(bottlenecks)), size):
            rows = slice(start, start + size)
            gone = None if left_out is None else left_out[rows]
            found.append(self._distances(bottlenecks[rows], gone))
        return np.concatenate(found)

    def _distances(
        self, bottlenecks: NDArray[np.float32], left_out: NDArray[np.integer] | None
    ) -> NDArray[np.float64]:
        white = self.whitening(bottlenecks)
        found = [1 - unit_rows(white) @ unit_rows(self.means).T]
        if self.root is not None:
            own, means = white @ self.root, self.means @ self.root
            squares = np.square(own).sum(axis=1)[:, None] + np.square(means).sum(axis=1)
            found.append(squares - 2 * own @ means.T)
            found.append(1 - unit_rows(bottlenecks) @ unit_rows(self.plain_means).T)
        if left_out is not None:
            gone = self.classes == left_out[:, None]
            found = [np.where(gone, np.float32(np.inf), one) for one in found]
        return np.stack([one.min(axis=1) for one in found], axis=1).astype(np.float64)

    def __call__(
        self, bottlenecks: NDArray[np.float32], left_out: NDArray[np.integer] | None = None
    ) -> NDArray[np.float32]:
        """Novelty of each image, `(n_images,) float32`, in standard deviations: 0 is as known."""
        scaled = (self.distances(bottlenecks, left_out) - self.centre) / self.spread
        return np.asarray(scaled.mean(axis=1), np.float32)


def _root(residuals: NDArray[np.float32]) -> NDArray[np.float32]:
    """A matrix R for which R R' is the inverse of the regularised covariance of residuals."""
    covariance = residuals.astype(np.float64).T @ residuals / len(residuals)
    ridge = _RIDGE * covariance.trace() / len(covariance) + np.finfo(np.float32).tiny
    values, directions = np.linalg.eigh(covariance)
    return np.asarray(directions / np.sqrt(np.maximum(values, 0) + ridge), np.float32)
