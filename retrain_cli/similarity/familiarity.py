"""How much photos are like those that the backbone was made for, by its own classifier.

The columns of the classifier's weights are its classes' own prototypes: a bottleneck is the more of
a class, the more it points along the class's column.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXCESS = 2.3
"""Standard deviations above chance from which the nearest prototype is said to be near."""
APART = 0.1
"""What the agreement within classes is to be above that between them."""


@dataclass(frozen=True)
class Familiarity:
    """What the backbone's own classifier sees in the photos.

    Attributes:
        prominence: mean over the photos of how far the nearest prototype stands out: its cosine to
            the bottleneck less the mean over all prototypes, in standard deviations over them.
        chance: the same of a bottleneck that points anywhere.
        distance: mean cosine distance of a bottleneck and its nearest prototype.
        confidence: mean probability of the likeliest source class.
        within: probability that two photos of a class are given the same source class; of classes
            with one photo nothing is known, and 0 where all are such.
        between: the same of two photos of different classes.
    """

    prominence: float
    chance: float
    distance: float
    confidence: float
    within: float
    between: float

    @classmethod
    def of(
        cls,
        bottlenecks: NDArray[np.float32],
        labels: NDArray[np.integer],
        weights: NDArray[np.float32],
        logits: NDArray[np.float32],
    ) -> Familiarity:
        """Measure it; each photo counts the same, and in the agreement each class.

        Args:
            bottlenecks: `(n_images, width)`.
            labels: `(n_images,)` class of each photo.
            weights: `(width, n_source)` of the classifier.
            logits: `(n_images, n_source)`, its scores.
        """
        cosines = _unit(bottlenecks, 1) @ _unit(weights, 0)
        nearest = cosines.max(axis=1)
        spread = np.maximum(cosines.std(axis=1), 1e-12)
        scores = logits.astype(np.float64)
        scores -= scores.max(axis=1, keepdims=True)
        answers = logits.argmax(axis=1)
        within, between = _agreement(answers, labels)
        return cls(
            prominence=float(((nearest - cosines.mean(axis=1)) / spread).mean()),
            chance=expected_maximum(weights.shape[1]),
            distance=float(1 - nearest.mean()),
            confidence=float((1 / np.exp(scores).sum(axis=1)).mean()),
            within=within,
            between=between,
        )

    @property
    def is_near(self) -> bool:
        """Whether the nearest prototype stands out well beyond chance."""
        return self.prominence >= self.chance + EXCESS

    @property
    def tells_apart(self) -> bool:
        """Whether the answers differ between the classes; one and the same for all says nothing."""
        return self.within - self.between >= APART

    @property
    def is_similar(self) -> bool:
        """Whether the photos count as similar to those that the backbone was made for."""
        return self.is_near and self.tells_apart

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "similar": self.is_similar}


def expected_maximum(n: int) -> float:
    """About the mean of the largest of n standard normal numbers (G. Blom, 1958)."""
    return NormalDist().inv_cdf((n - 0.375) / (n + 0.25))


def _unit(vectors: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=axis, keepdims=True)
    unit: NDArray[np.float32] = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def _agreement(answers: NDArray[np.integer], labels: NDArray[np.integer]) -> tuple[float, float]:
    """Probability of the same answer for two photos of one class, and of two classes.

    Two photos are two: that one agrees with itself would make small classes look well told apart.
    """
    _, places = np.unique(answers, return_inverse=True)
    _, classes = np.unique(labels, return_inverse=True)
    counts = np.zeros((classes.max() + 1, places.max() + 1))
    np.add.at(counts, (classes, places), 1)
    photos = counts.sum(axis=1)
    several, n = photos > 1, len(photos)
    pairs = (counts * (counts - 1)).sum(axis=1)[several]
    within = float(np.mean(pairs / (photos * (photos - 1))[several])) if several.any() else 0.0
    shares = counts / photos[:, None]
    # Over all ordered pairs of classes the products of their shares add up to the square of the
    # sum; those of a class with itself are left out.
    of_others = float((shares.sum(axis=0) ** 2).sum() - (shares**2).sum())
    return within, of_others / (n * (n - 1)) if n > 1 else 0.0
