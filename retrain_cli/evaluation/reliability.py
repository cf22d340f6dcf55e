"""Can a score be trusted: log loss, reliability diagram and expected calibration error.

The confidence of an answer is the probability of the best class. Answers are sorted into 15 bins of
equal width, a bin holding its upper edge, and the expected calibration error is the mean over all
answers of the gap between the accuracy and the mean confidence of their bin (M. P. Naeini,
G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI
2015; the 15 bins are those of C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of
modern neural networks", ICML 2017). It has no interval: resampling makes the error larger, so that
a bootstrap would be biased. The bins have Wilson's intervals.

Losses are skewed: most are near 0 and a few are large. The interval of their mean is P. Hall's, "On
the removal of skewness by transformation", Journal of the Royal Statistical Society B 54, 1992.
Where few answers are wrong, those that a further set of images would hold are missing in it, so its
upper end is at least what the upper end of the share of wrong answers would cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import Split
from retrain_cli.evaluation.intervals import Estimate, Z, share_estimate, wilson
from retrain_cli.evaluation.predictions import Predictions

N_BINS = 15

_UNSEEN_LOSS = 2.0  # of a wrong answer, in nats: the true class had 14%
_ROUNDING = 1e-12
_STRAIGHT = 1e-6


@dataclass(frozen=True)
class ReliabilityBin:
    """Answers of about the same confidence.

    Attributes:
        low: confidences are above this,
        high: and up to this.
        n_images: how many answers.
        confidence: their mean confidence; None without any.
        accuracy: share of right ones among them; None without any.
    """

    low: float
    high: float
    n_images: int
    confidence: float | None
    accuracy: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        accuracy = self.accuracy and self.accuracy.to_dict()
        return {**vars(self), "accuracy": accuracy}


@dataclass(frozen=True, eq=False)
class Reliability:
    """Sums behind the calibration figures; those of two sets of images add up.

    Attributes:
        n_images: `(15,) int64`, answers in each bin.
        right: `(15,) int64`, right ones among them.
        confidence: `(15,) float64`, sum of their confidences.
        losses: sum of the negative natural logarithms of the true classes' probabilities.
        squared_losses: sum of the squares of these.
        cubed_losses: sum of their cubes.
        wrong_losses: sum of those of wrong answers.
    """

    n_images: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]
    losses: float
    squared_losses: float
    cubed_losses: float
    wrong_losses: float

    @classmethod
    def from_predictions(cls, predictions: Predictions, split: Split | None) -> Reliability:
        """Count a split, or all images for None."""
        rows = predictions.rows(split)
        confidence = predictions.top_scores[rows, 0].astype(np.float64)
        bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
        losses = -predictions.log_probability[rows].astype(np.float64)
        right = predictions.rank[rows] == 1
        return cls(
            np.bincount(bins, minlength=N_BINS),
            np.bincount(bins[right], minlength=N_BINS),
            np.bincount(bins, confidence, N_BINS).astype(np.float64),
            float(losses.sum()),
            float((losses**2).sum()),
            float((losses**3).sum()),
            float(losses[~right].sum()),
        )

    def merge(self, other: Reliability) -> Reliability:
        """Sums of the images of both."""
        return Reliability(
            self.n_images + other.n_images,
            self.right + other.right,
            self.confidence + other.confidence,
            self.losses + other.losses,
            self.squared_losses + other.squared_losses,
            self.cubed_losses + other.cubed_losses,
            self.wrong_losses + other.wrong_losses,
        )

    @property
    def total(self) -> int:
        """Number of images."""
        return int(self.n_images.sum())

    @property
    def log_loss(self) -> Estimate | None:
        """Mean negative log-likelihood, in nats; see above for its interval."""
        n = self.total
        if not n:
            return None
        mean = self.losses / n
        low, high = self._halls_interval()
        wrong = n - int(self.right.sum())
        more = wilson(wrong / n, n).high - wrong / n
        cost = (self.wrong_losses + _UNSEEN_LOSS) / (wrong + 1)
        return Estimate(mean, min(mean, max(0.0, low)), max(high, mean + more * cost))

    def _halls_interval(self) -> tuple[float, float]:
        """`mean - s g(z) / sqrt(n)` at both quantiles z, g being the inverse of Hall's cubic."""
        n = self.total
        mean, square, cube = (
            total / n for total in (self.losses, self.squared_losses, self.cubed_losses)
        )
        variance = square - mean**2
        if variance <= _ROUNDING * square:
            return mean, mean
        spread = math.sqrt(variance)
        skewness = (cube - 3 * mean * square + 2 * mean**3) / spread**3
        bend = skewness / math.sqrt(n)
        error = spread / math.sqrt(max(1, n - 1))
        high, low = (mean - error * _inverse_of_hall(z, bend) for z in (-Z, Z))
        return low, high

    @property
    def expected_calibration_error(self) -> float | None:
        """From 0 to 1, 0 is best; None without images."""
        return (
            float(np.abs(self.right - self.confidence).sum() / self.total) if self.total else None
        )

    @property
    def bins(self) -> tuple[ReliabilityBin, ...]:
        """The reliability diagram."""
        return tuple(
            ReliabilityBin(
                index / N_BINS,
                (index + 1) / N_BINS,
                n,
                confidence / n if n else None,
                share_estimate(right, n),
            )
            for index, (n, right, confidence) in enumerate(
                zip(
                    self.n_images.tolist(),
                    self.right.tolist(),
                    self.confidence.tolist(),
                    strict=True,
                )
            )
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, null where not defined."""
        return {
            "log_loss": self.log_loss and self.log_loss.to_dict(),
            "expected_calibration_error": self.expected_calibration_error,
            "reliability": [entry.to_dict() for entry in self.bins],
        }


def _inverse_of_hall(z: float, bend: float) -> float:
    """Where Hall's cubic `t + b t^2 / 3 + b^2 t^3 / 27 + b / 6` is z; b is skewness / sqrt(n)."""
    if abs(bend) < _STRAIGHT:
        return z
    return 3 / bend * (float(np.cbrt(1 + bend * (z - bend / 6))) - 1)
