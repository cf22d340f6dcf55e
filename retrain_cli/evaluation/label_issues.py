"""Which labels are likely wrong: confident learning on predictions that never saw the image.

C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating Uncertainty in Dataset
Labels", Journal of Artificial Intelligence Research 70, 2021. This is its count of confident
examples: a class is confidently predicted for an image where its probability reaches the mean
that images labelled so have. An image whose most probable confident class is not its own is
counted. So many labels are likely wrong; which ones is told by self-confidence, the probability of
the given label, which finds more of them than the counted images are (docs/check.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Piece = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Rows of some images, and their probabilities of all classes, `(n_rows, n_classes)`."""

_ROUNDING = 1e-6  # of a mean of float32


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


@dataclass(frozen=True, eq=False)
class LabelJudgement:
    """What predictions say of each image's label; of images that were not judged, NaN and -1.

    Attributes:
        labels: `(n_images,)` the given classes.
        n_classes: number of classes.
        given: `(n_images,) float32`, probability of the given class.
        best: `(n_images,) int32`, the most probable class.
        best_probability: `(n_images,) float32`, of that.
    """

    labels: NDArray[np.integer]
    n_classes: int
    given: NDArray[np.float32]
    best: NDArray[np.int32]
    best_probability: NDArray[np.float32]

    @property
    def judged(self) -> NDArray[np.int64]:
        """Rows of the images that were judged."""
        return np.flatnonzero(self.best >= 0)

    @cached_property
    def thresholds(self) -> NDArray[np.float64]:
        """Mean probability of each class over the images labelled so, `(n_classes,) float64`.

        Infinite for a class without images, which is then never confidently predicted.
        """
        labels, given = self.labels[self.judged], self.given[self.judged]
        counts = np.bincount(labels, minlength=self.n_classes)
        sums = np.bincount(labels, weights=given, minlength=self.n_classes)
        means: NDArray[np.float64] = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
        return means


def judge_labels(
    labels: NDArray[np.integer], n_classes: int, pieces: Iterable[Piece]
) -> LabelJudgement:
    """Look at the probabilities of all classes, which need not fit into memory together.

    Args:
        labels: `(n_images,)` given class of each image.
        n_classes: number of classes.
        pieces: rows of images and their probabilities, out of fold; not every image need be there.
    """
    given, best_probability = (np.full(len(labels), np.nan, np.float32) for _ in range(2))
    best = np.full(len(labels), -1, np.int32)
    for rows, probabilities in pieces:
        places = np.arange(len(rows))
        best[rows] = probabilities.argmax(axis=1)
        best_probability[rows] = probabilities[places, best[rows]]
        given[rows] = probabilities[places, labels[rows]]
    return LabelJudgement(labels, n_classes, given, best, best_probability)


def count_label_issues(judgement: LabelJudgement, pieces: Iterable[Piece]) -> int:
    """How many images lie off the diagonal of the confident joint.

    Args:
        judgement: what `judge_labels` found.
        pieces: the same pieces once more.
    """
    count, needed = 0, judgement.thresholds - _ROUNDING
    for rows, probabilities in pieces:
        confident = probabilities >= needed
        best = np.where(confident, probabilities, -1).argmax(axis=1)
        count += int((confident.any(axis=1) & (best != judgement.labels[rows])).sum())
    return count


def find_label_issues(judgement: LabelJudgement, pieces: Iterable[Piece]) -> LabelIssues:
    """Find as many images as confident learning counts, those least sure of their label first.

    An image whose own label is the most probable one is none of them.

    Args:
        judgement: what `judge_labels` found.
        pieces: the same pieces once more.
    """
    rows = judgement.judged
    rows = rows[judgement.best[rows] != judgement.labels[rows]]
    order = np.argsort(judgement.given[rows], kind="stable")
    rows = rows[order][: count_label_issues(judgement, pieces)]
    suggested, other = judgement.best[rows], judgement.best_probability[rows]
    confident = other >= judgement.thresholds[suggested] - _ROUNDING
    return LabelIssues(rows, suggested, judgement.given[rows], other, confident)


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
    def of(cls, judgement: LabelJudgement) -> Agreement:
        """Of the images that were judged."""
        rows, n_classes = judgement.judged, judgement.n_classes
        labels, predicted = judgement.labels[rows], judgement.best[rows]
        if not len(labels):
            return cls(0.0, 0.0)
        shares = [np.bincount(one, minlength=n_classes) / len(one) for one in (labels, predicted)]
        return cls(float((labels == predicted).mean()), float(shares[0] @ shares[1]))

    @property
    def kappa(self) -> float:
        """Agreement beyond chance, 1 at most: J. Cohen, 1960; 0 where all is one class."""
        if self.by_chance >= 1:
            return 0.0
        return (self.observed - self.by_chance) / (1 - self.by_chance)
