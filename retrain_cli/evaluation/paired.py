"""Differences between two heads that answered about the same images.

Differences of shares have R. G. Newcombe's interval ("Improved confidence intervals for the
difference between binomial proportions based on paired data", Statistics in Medicine 17, 1998,
method 10): Wilson's intervals of both, joined by their correlation. Whether one head is better is
McNemar's exact test: of the images that only one of them gets right, each would take either side by
a fair coin if they were equally good. Means over classes have no closed form and are bootstrapped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.bootstrap import percentile_estimate, resampled_counts
from retrain_cli.evaluation.intervals import Estimate, wilson

_Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Outcomes:
    """How two heads fare on the same images.

    Attributes:
        both: images that both get right.
        lost: images that only the first gets right.
        gained: images that only the second gets right.
        neither: images that both get wrong.
    """

    both: int
    lost: int
    gained: int
    neither: int

    @classmethod
    def count(cls, first: _Bools, second: _Bools) -> Outcomes:
        """Count them, given `(n_images,)` whether each head is right."""
        pairs = ((first, second), (first, ~second), (~first, second), (~first, ~second))
        return cls(*(int((one & other).sum()) for one, other in pairs))

    @property
    def total(self) -> int:
        """Number of images."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def p_value(self) -> float:
        """McNemar's exact test, two-sided: small where the heads are hardly equally good."""
        from scipy.stats import binomtest

        differing = self.lost + self.gained
        return float(binomtest(self.lost, differing).pvalue) if differing else 1.0

    @property
    def difference(self) -> Estimate | None:
        """Share right of the second minus that of the first, from -1 to 1; None without images."""
        n = self.total
        if not n:
            return None
        first, second = (wilson((self.both + own) / n, n) for own in (self.lost, self.gained))
        phi, value = self._correlation(), second.value - first.value
        low = _joined(second.value - second.low, first.high - first.value, phi)
        high = _joined(second.high - second.value, first.value - first.low, phi)
        return Estimate(value, max(-1.0, value - low), min(1.0, value + high))

    def _correlation(self) -> float:
        """Newcombe's phi, drawn towards 0 by half an image where it is positive."""
        margins = math.prod(
            (
                self.both + self.lost,
                self.gained + self.neither,
                self.both + self.gained,
                self.lost + self.neither,
            )
        )
        if not margins:
            return 0.0
        cross = float(self.both * self.neither - self.lost * self.gained)
        if cross > 0:
            cross = max(0.0, cross - self.total / 2)
        return cross / math.sqrt(margins)


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))


def macro_difference(first: _Bools, second: _Bools, labels: NDArray[np.integer]) -> Estimate | None:
    """Difference of the means of the per-class shares; None without images.

    Its interval is that of 1,000 bootstrap resamples of the images; where the heads differ on no
    image all resamples are alike, and the interval of the plain difference stands in.

    Args:
        first: `(n_images,)` whether the first head is right.
        second: the same of the second.
        labels: `(n_images,)` the true classes.
    """
    outcomes = Outcomes.count(first, second)
    if not outcomes.gained + outcomes.lost:
        return outcomes.difference
    change = second.astype(np.int64) - first
    kinds, counts = np.unique(labels * 3 + change + 1, return_counts=True)
    classes, class_of_kind = np.unique(kinds // 3, return_inverse=True)
    belongs = (class_of_kind[:, None] == np.arange(len(classes))).astype(np.float64)
    signed = belongs * (kinds % 3 - 1)[:, None]

    def means(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        n = counts @ belongs
        shares = (counts @ signed) / np.maximum(n, 1)
        averages: NDArray[np.float64] = shares.sum(axis=1) / (n > 0).sum(axis=1)
        return averages

    resampled = np.concatenate([means(sample) for sample in resampled_counts(counts)])
    return percentile_estimate(float(means(counts[None, :])[0]), resampled)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values that allow for how many tests there are, in the same order.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - place)))
        adjusted[index] = highest
    return adjusted
