"""Which labels are likely wrong: confident learning on predictions that never saw the image.

C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70, 2021. This is its count of confident
examples: a class is confidently predicted for an image where its probability reaches the mean
that images labelled so have. An image whose most probable confident class is not its own is
counted. So many labels are likely wrong; which ones is told by self-confidence, the probability of
the given label, which finds more of them than the counted images are (docs/check.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Images with a likely wrong label, the surest first.

    Attributes:
        rows: `(n_issues,) int64`.
        suggested: `(n_issues,) int32`, the class that the predictions speak for.
        given_probability: `(n_issues,) float32`, of the class that it is labelled with.
        suggested_probability: `(n_issues,) float32`.
        confident: `(n_issues,) bool`, whether that reaches the mean of the images labelled so.
    """

    rows: NDArray[np.int64]
    suggested: NDArray[np.int32]
    given_probability: NDArray[np.float32]
    suggested_probability: NDArray[np.float32]
    confident: NDArray[np.bool_]


def class_thresholds(
    labels: NDArray[np.integer], probabilities: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Mean probability of each class over the images labelled so, `(n_classes,) float64`.

    Infinite for a class without images, which is then never confidently predicted.
    """
    n_classes = probabilities.shape[1]
    own = np.take_along_axis(probabilities, labels[:, None].astype(np.int64), axis=1)[:, 0]
    counts = np.bincount(labels, minlength=n_classes)
    sums = np.bincount(labels, weights=own, minlength=n_classes)
    thresholds: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    return thresholds


def count_label_issues(labels: NDArray[np.integer], probabilities: NDArray[np.float32]) -> int:
    """How many images lie off the diagonal of the confident joint.

    Args:
        labels: `(n_images,)` given class of each image.
        probabilities: `(n_images, n_classes) float32`, out of fold, without NaN.
    """
    confident = probabilities >= class_thresholds(labels, probabilities) - 1e-6
    best = np.where(confident, probabilities, -1).argmax(axis=1)
    return int((confident.any(axis=1) & (best != labels)).sum())


def find_label_issues(
    labels: NDArray[np.integer], probabilities: NDArray[np.float32]
) -> LabelIssues:
    """Find as many images as confident learning counts, those least sure of their label first.

    An image whose own label is the most probable one is none of them.

    Args:
        labels: `(n_images,)` given class of each image.
        probabilities: `(n_images, n_classes) float32`, out of fold; rows of NaN are left out.
    """
    judged = np.flatnonzero(~np.isnan(probabilities).any(axis=1))
    labels, probabilities = labels[judged].astype(np.int64), probabilities[judged]
    given = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    suggested = probabilities.argmax(axis=1)
    rows = np.flatnonzero(suggested != labels)
    rows = rows[np.argsort(given[rows], kind="stable")][: count_label_issues(labels, probabilities)]
    suggested = suggested[rows]
    other = probabilities[rows, suggested]
    confident = other >= class_thresholds(labels, probabilities)[suggested] - 1e-6
    return LabelIssues(judged[rows], suggested.astype(np.int32), given[rows], other, confident)


SLIGHT_AGREEMENT = 0.2
"""A kappa up to this is slight: Landis and Koch, Biometrics 33, 1977."""


@dataclass(frozen=True)
class Agreement:
    """How well predictions agree with labels.

    Attributes:
        observed: share of the images whose most probable class is their label.
        by_chance: the share that would be so by chance, with as many of each class.
    """

    observed: float
    by_chance: float

    @classmethod
    def of(cls, labels: NDArray[np.integer], probabilities: NDArray[np.float32]) -> Agreement:
        """Of `(n_images,)` labels and `(n_images, n_classes)` probabilities; NaN is left out."""
        judged = ~np.isnan(probabilities).any(axis=1)
        labels, n_classes = labels[judged], probabilities.shape[1]
        if not len(labels):
            return cls(0.0, 0.0)
        predicted = probabilities[judged].argmax(axis=1)
        shares = [np.bincount(one, minlength=n_classes) / len(one) for one in (labels, predicted)]
        return cls(float((labels == predicted).mean()), float(shares[0] @ shares[1]))

    @property
    def kappa(self) -> float:
        """Agreement beyond chance, 1 at most: J. Cohen, 1960; 0 where all is one class."""
        if self.by_chance >= 1:
            return 0.0
        return (self.observed - self.by_chance) / (1 - self.by_chance)
