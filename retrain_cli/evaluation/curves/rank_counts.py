"""ROC and precision-recall curves of one yes-or-no question, as counts.

A curve bends only at the scores of positives, so the negatives are merely counted between them:
that is exact, ties included, and takes the memory of the positives alone. The area under the ROC
curve is the Mann-Whitney statistic; its variance follows E. R. DeLong, D. M. DeLong and D. L.
Clarke-Pearson ("Comparing the areas under two or more correlated receiver operating characteristic
curves", Biometrics 44, 1988), its interval is symmetric on the logit scale. Where DeLong sees no
variance, with one positive or no positive below a negative, method 5 of R. G. Newcombe stands in
("Confidence intervals for an effect size measure based on the Mann-Whitney statistic, part 2",
Statistics in Medicine 25, 2006), which stays honest there as Wilson's does for shares. Elsewhere
the wider of both ends counts: near 1 an area hangs on the one or two images that are ranked worst,
and images without such a one show DeLong too little variance (docs/intervals.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.intervals import Estimate, Z

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankCounts:
    """Positives, and negatives counted between them.

    Attributes:
        thresholds: `(m,)` distinct scores of positives, ascending.
        positives: `(m,) int64`, positives at each.
        slots: `(2 m + 1,) int64`, negatives: slot 2 i + 1 ties with threshold i, slot 2 i lies
            between threshold i - 1 and threshold i.
    """

    thresholds: NDArray[np.floating]
    positives: NDArray[np.int64]
    slots: NDArray[np.int64]

    @classmethod
    def of_positives(cls, scores: NDArray[np.floating]) -> RankCounts:
        """Begin with the scores of the positives and no negatives."""
        thresholds, positives = np.unique(scores, return_counts=True)
        return cls(thresholds, positives, np.zeros(2 * len(thresholds) + 1, np.int64))

    def slots_of(self, negatives: NDArray[np.floating]) -> NDArray[np.int64]:
        """The slot of each negative score."""
        place = np.searchsorted(self.thresholds, negatives)
        last = len(self.thresholds) - 1
        ties = self.thresholds[np.minimum(place, last)] == negatives
        slots: NDArray[np.int64] = 2 * place + ties
        return slots

    def add(self, slots: NDArray[np.int64]) -> None:
        """Count negatives, given their slots."""
        self.slots[:] += np.bincount(slots, minlength=len(self.slots))

    @property
    def n_positives(self) -> int:
        """Number of positives."""
        return int(self.positives.sum())

    @property
    def n_negatives(self) -> int:
        """Number of negatives."""
        return int(self.slots.sum())

    @cached_property
    def wins_of_slots(self) -> _Floats:
        """For a negative in each slot: share of the positives above it, ties by half."""
        edges = np.concatenate([[0], np.cumsum(self.positives)])
        below = np.empty(len(self.slots))
        below[0::2] = edges
        below[1::2] = (edges[:-1] + edges[1:]) / 2
        wins: _Floats = 1 - below / max(1, edges[-1])
        return wins

    @property
    def wins_of_positives(self) -> _Floats:
        """For a positive at each threshold: share of the negatives below it, ties by half."""
        return (self._at_least - self.slots[1::2] / 2) / max(1, self.n_negatives)

    @property
    def _at_least(self) -> NDArray[np.int64]:
        """Negatives that do not exceed each threshold."""
        totals: NDArray[np.int64] = np.cumsum(self.slots)[1::2]
        return totals

    @property
    def auc(self) -> float | None:
        """Area under the ROC curve; None without positives or negatives."""
        if not (self.n_positives and self.n_negatives):
            return None
        return float(self.slots @ self.wins_of_slots) / self.n_negatives

    @property
    def delong_variance(self) -> float | None:
        """Variance of the area; None with fewer than two positives or negatives."""
        n_pos, n_neg, area = self.n_positives, self.n_negatives, self.auc
        if min(n_pos, n_neg) < 2 or area is None:
            return None
        of_positives = float(self.positives @ (self.wins_of_positives - area) ** 2)
        of_negatives = float(self.slots @ (self.wins_of_slots - area) ** 2)
        return of_positives / (n_pos * (n_pos - 1)) + of_negatives / (n_neg * (n_neg - 1))

    @property
    def auc_estimate(self) -> Estimate | None:
        """The area with its 95% interval; None where the area is not defined."""
        if self.auc is None:
            return None
        return auc_interval(self.auc, self.delong_variance, self.n_positives, self.n_negatives)

    @property
    def average_precision(self) -> float | None:
        """Sum over thresholds of precision times gain in recall; None as `auc`."""
        if not (self.n_positives and self.n_negatives):
            return None
        recall, precision = self._recall_and_precision()
        return float(np.diff(recall, prepend=0.0) @ precision)

    def roc(self) -> tuple[_Floats, _Floats]:
        """False and true positive rate from (0, 0) to (1, 1): the corners of the curve."""
        true = np.concatenate([[0], np.cumsum(self.positives[::-1])]) / max(1, self.n_positives)
        n_neg = self.n_negatives
        above = np.cumsum(self.slots[::-1]) / max(1, n_neg)  # ends of gap, tie, gap, ..., gap
        return np.concatenate([[0.0], above]), np.repeat(true, 2)

    def precision_recall(self) -> tuple[_Floats, _Floats]:
        """Recall and precision at each threshold, from (0, 1) on; recall ascends."""
        recall, precision = self._recall_and_precision()
        return np.concatenate([[0.0], recall]), np.concatenate([[1.0], precision])

    def _recall_and_precision(self) -> tuple[_Floats, _Floats]:
        found = np.cumsum(self.positives[::-1])
        # Negatives at or above a threshold: all but those strictly below it.
        false = self.n_negatives - (self._at_least - self.slots[1::2])[::-1]
        return found / max(1, self.n_positives), found / (found + false)


def auc_interval(area: float, variance: float | None, n_pos: int, n_neg: int) -> Estimate:
    """An area with its 95% interval: Newcombe's or, where that is wider, that of the variance."""
    careful = _newcombe(area, n_pos, n_neg)
    if not variance or not 0 < area < 1:
        return careful
    centre = math.log(area / (1 - area))
    spread = Z * math.sqrt(variance) / (area * (1 - area))
    low, high = _logistic(centre - spread), _logistic(centre + spread)
    return Estimate(area, min(low, careful.low), max(high, careful.high))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def _newcombe(area: float, n_pos: int, n_neg: int) -> Estimate:
    """Newcombe's method 5: the areas that lie 1.96 of their own standard errors away."""

    def too_far(true: float) -> bool:
        size = (n_pos + n_neg) / 2 - 1
        shape = 1 + size * (1 - true) / (2 - true) + size * true / (1 + true)
        return (area - true) ** 2 > Z**2 * true * (1 - true) * shape / (n_pos * n_neg)

    return Estimate(area, _edge(area, 0.0, too_far), _edge(area, 1.0, too_far))


def _edge(inside: float, outside: float, too_far: Callable[[float], bool]) -> float:
    """Bisect between a value within the interval and the end of the scale."""
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if too_far(middle) else (middle, outside)
    return inside
