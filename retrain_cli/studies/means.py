"""Mean over the repeats of a study, with its 95% confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.evaluation.intervals import Estimate, student_half_width
from retrain_cli.reports.charts import Series

_INTERVAL = "95% t interval over repeats"


def interval_name(varies_test: bool) -> str:
    """What the interval of a `Mean` is, by whether each repeat had other test photos."""
    return f"{_INTERVAL} {'with other splits' if varies_test else 'on the same test photos'}"


@dataclass(frozen=True)
class Mean:
    """A mean over repeats.

    Attributes:
        value: the mean.
        low: lower end of the 95% interval; None with one repeat.
        high: upper end; None likewise.
        n: number of repeats.
    """

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the interval before it was cut to what is possible; None with one repeat."""
        if self.low is None or self.high is None:
            return None
        return max(self.high - self.value, self.value - self.low)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"mean": self.value, "low": self.low, "high": self.high, "repeats": self.n}


def mean_of(values: Sequence[float | None], most: float = 1.0) -> Mean | None:
    """Mean and Student's interval, `mean +- t(n - 1) s / sqrt(n)`, cut to [0, most].

    It tells how far another run of the study on the same photos could lie from this one: what the
    choice of split, classes, training images and batches does. What other photos would do is not in
    it, nor what another split would where all repeats have the same.

    Args:
        values: one figure for each repeat; those that are None are left out.
        most: the largest value that is possible, 1 for shares.

    Returns:
        The mean; None where no repeat has the figure.
    """
    known = np.array([value for value in values if value is not None], np.float64)
    n = len(known)
    if not n:
        return None
    mean = float(known.mean())
    if n == 1:
        return Mean(mean, None, None, 1)
    half = student_half_width(known)
    return Mean(mean, min(mean, max(0.0, mean - half)), max(mean, min(most, mean + half)), n)


def difference_of(values: Sequence[float]) -> Mean | None:
    """The same of differences between two heads of one repeat, which may be below 0.

    What repeats have in common is not in its interval, as that of a paired t test.
    """
    known = np.array(values, np.float64)
    if not len(known):
        return None
    mean = float(known.mean())
    if len(known) == 1:
        return Mean(mean, None, None, 1)
    half = student_half_width(known)
    return Mean(mean, mean - half, mean + half, len(known))


def mean_of_estimates(estimates: Sequence[Estimate | None]) -> Mean | None:
    """The same of shares of test images, whose own interval stands in where all repeats agree.

    Repeats that agree tell nothing of how far others could lie: 109 of 110 images right, five times
    over, are no 99.1% +- 0.0.
    """
    known = [estimate for estimate in estimates if estimate is not None]
    mean = mean_of([estimate.value for estimate in known])
    if mean is None or mean.low is None or mean.low != mean.high:
        return mean
    return Mean(mean.value, known[0].low, known[0].high, mean.n)


def series_of(label: str, points: Sequence[tuple[float, Mean]]) -> Series:
    """A line of means with its band; no band where there is one repeat only."""
    x, means = [place for place, _ in points], [mean for _, mean in points]
    low = [mean.low for mean in means if mean.low is not None]
    high = [mean.high for mean in means if mean.high is not None]
    if len(low) < len(means):
        low = high = []
    return Series(label, x, [mean.value for mean in means], low, high)
