"""Coverage against accuracy: how good the answers are when only the surest are given.

R. El-Yaniv and Y. Wiener, "On the Foundations of Noise-free Selective Classification", Journal of
Machine Learning Research 11, 2010. The area under the curve of errors is that of Y. Geifman,
G. Uziel and R. El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from retrain_cli.datasets.splits import Split
from retrain_cli.evaluation.intervals import Estimate, share_estimate
from retrain_cli.evaluation.predictions import Predictions

LEVELS: Final = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the images at which the curve is read."""


@dataclass(frozen=True)
class CoveragePoint:
    """The accuracy when the surest images are answered.

    Attributes:
        coverage: share of the images that is answered.
        n_images: how many that are.
        least_score: lowest probability of a best class among them.
        accuracy: share of them that is right.
    """

    coverage: float
    n_images: int
    least_score: float
    accuracy: Estimate | None


@dataclass(frozen=True)
class CoverageCurve:
    """The curve.

    Attributes:
        points: from all images down; none where there are no images.
        risk_area: mean share of errors over all coverages (area under the risk-coverage curve).
    """

    points: tuple[CoveragePoint, ...]
    risk_area: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "risk_area": self.risk_area,
            "points": [
                {
                    "coverage": point.coverage,
                    "images": point.n_images,
                    "least_score": point.least_score,
                    "accuracy": point.accuracy and point.accuracy.to_dict(),
                }
                for point in self.points
            ],
        }


def coverage_curve(predictions: Predictions, split: Split | None) -> CoverageCurve:
    """The curve of a split, of all images for None; images of equal scores keep their order."""
    rows = predictions.rows(split)
    if not len(rows):
        return CoverageCurve((), None)
    scores = predictions.top_scores[rows, 0]
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(predictions.rank[rows][order] == 1)
    counts = np.arange(1, len(rows) + 1)
    points = []
    for count in sorted({max(1, round(level * len(rows))) for level in LEVELS}, reverse=True):
        accuracy = share_estimate(int(hits[count - 1]), count)
        least = float(scores[order[count - 1]])
        points.append(CoveragePoint(count / len(rows), count, least, accuracy))
    return CoverageCurve(tuple(points), float(np.mean(1 - hits / counts)))
