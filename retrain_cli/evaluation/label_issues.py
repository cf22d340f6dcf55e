"""Which labels are likely wrong: confident learning on predictions that never saw the image.

C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70, 2021. This is its count of confident
examples: a class is confidently predicted for an image where its probability reaches the mean
that images labelled so have. An image whose most probable confident class is not its own has a
likely label error.
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
    """

    rows: NDArray[np.int64]
    suggested: NDArray[np.int32]
    given_probability: NDArray[np.float32]
    suggested_probability: NDArray[np.float32]


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


def find_label_issues(
    labels: NDArray[np.integer], probabilities: NDArray[np.float32]
) -> LabelIssues:
    """Find the images off the diagonal of the confident joint, ranked by normalised margin.

    Args:
        labels: `(n_images,)` given class of each image.
        probabilities: `(n_images, n_classes) float32`, out of fold; rows of NaN are left out.
    """
    judged = np.flatnonzero(~np.isnan(probabilities).any(axis=1))
    labels, probabilities = labels[judged].astype(np.int64), probabilities[judged]
    confident = probabilities >= class_thresholds(labels, probabilities) - 1e-6
    suggested = np.where(confident, probabilities, -1).argmax(axis=1)
    rows = np.flatnonzero(confident.any(axis=1) & (suggested != labels))
    given = probabilities[rows, labels[rows]]
    other = probabilities[rows, suggested[rows]]
    order = np.argsort(given - other, kind="stable")
    rows, given, other = rows[order], given[order], other[order]
    return LabelIssues(judged[rows], suggested[rows].astype(np.int32), given, other)
