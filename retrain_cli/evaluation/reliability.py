"""Can a score be trusted: log loss, reliability diagram and expected calibration error.

The confidence of an answer is the probability of the best class. Answers are sorted into 15 bins of
equal width, a bin holding its upper edge, and the expected calibration error is the mean over all
answers of the gap between the accuracy and the mean confidence of their bin (M. P. Naeini,
G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI
2015; the 15 bins are those of C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of
modern neural networks", ICML 2017). It has no interval: resampling makes the error larger, so that
a bootstrap would be biased. The bins have Wilson's intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import Split
from retrain_cli.evaluation.intervals import Estimate, Z, share_estimate
from retrain_cli.evaluation.predictions import Predictions

N_BINS = 15


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
    """

    n_images: NDArray[np.int64]
    right: NDArray[np.int64]
    confidence: NDArray[np.float64]
    losses: float
    squared_losses: float

    @classmethod
    def from_predictions(cls, predictions: Predictions, split: Split | None) -> Reliability:
        """Count a split, or all images for None."""
        rows = predictions.rows(split)
        confidence = predictions.top_scores[rows, 0].astype(np.float64)
        bins = np.clip(np.ceil(confidence * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
        losses = -predictions.log_probability[rows].astype(np.float64)
        return cls(
            np.bincount(bins, minlength=N_BINS),
            np.bincount(bins[predictions.rank[rows] == 1], minlength=N_BINS),
            np.bincount(bins, confidence, N_BINS).astype(np.float64),
            float(losses.sum()),
            float((losses**2).sum()),
        )

    def merge(self, other: Reliability) -> Reliability:
        """Sums of the images of both."""
        return Reliability(
            self.n_images + other.n_images,
            self.right + other.right,
            self.confidence + other.confidence,
            self.losses + other.losses,
            self.squared_losses + other.squared_losses,
        )

    @property
    def total(self) -> int:
        """Number of images."""
        return int(self.n_images.sum())

    @property
    def log_loss(self) -> Estimate | None:
        """Mean negative log-likelihood, in nats, with the normal interval of a mean."""
        n = self.total
        if not n:
            return None
        mean = self.losses / n
        variance = max(0.0, self.squared_losses / n - mean**2) / max(1, n - 1)
        spread = Z * math.sqrt(variance)
        return Estimate(mean, max(0.0, mean - spread), mean + spread)

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
