"""Two heads on one bottleneck joined into one, their logits brought to one scale.

Heads that were trained apart are each right about their own classes, but nothing says how a logit
of the one compares with a logit of the other. Two numbers settle it: the logits of the second head
are multiplied by a scale and moved by an offset, those that make the joined softmax fit photos of
both sides best. It is Platt's scaling (J. Platt, "Probabilistic outputs for support vector
machines", 1999) for a block of classes, a convex problem in two unknowns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.head import Head

FloatVector = NDArray[np.float64]

_LEAST_SCALE = 1e-3
_RIDGE = 1e-4
"""On the squared scale: it keeps the scale finite where both sides are told apart completely."""


@dataclass(frozen=True)
class Calibration:
    """What brings the logits of the second head to the scale of the first.

    Attributes:
        scale: factor, above 0.
        offset: added after it.
    """

    scale: float
    offset: float

    def apply(self, head: Head) -> Head:
        """The second head on the scale of the first."""
        weights = (head.weights * self.scale).astype(np.float32)
        bias = (head.bias * self.scale + self.offset).astype(np.float32)
        return Head(head.labels, weights, bias)


@dataclass(frozen=True, eq=False)
class CalibrationSet:
    """What two heads say about photos of both sides.

    Attributes:
        first: `(n_photos,)` log-sum-exp of the first head's logits.
        second: `(n_photos, n_second)` logits of the second head.
        target: `(n_photos,)` true class in the second head; -1 for photos of the first side.
        weight: `(n_photos,)` weight of each photo, adding up to one.
    """

    first: FloatVector
    second: FloatVector
    target: NDArray[np.int64]
    weight: FloatVector

    def loss(self, parameters: FloatVector) -> tuple[float, FloatVector]:
        """Negative log-likelihood of the joined softmax, and its gradient.

        The part that no parameter changes is left out: which class of its own side a photo of the
        first side belongs to.

        Args:
            parameters: scale and offset.
        """
        scale, offset = parameters
        logits = scale * self.second + offset
        second = log_sum_exp(logits)
        both = np.logaddexp(self.first, second)
        is_second = self.target >= 0
        own = self.second[np.arange(len(self.target)), np.maximum(self.target, 0)]
        fit = np.where(is_second, scale * own + offset, self.first)
        share = np.exp(second - both)  # of the second side
        mean = (np.exp(logits - second[:, None]) * self.second).sum(axis=1)
        slopes = np.stack([share * mean - is_second * own, share - is_second])
        gradient = slopes @ self.weight + np.array([2 * _RIDGE * scale, 0])
        return float(self.weight @ (both - fit)) + _RIDGE * scale**2, gradient


def log_sum_exp(logits: NDArray[np.floating]) -> FloatVector:
    """`log(sum(exp(logits)))` of each row, `(n_rows,) float64`."""
    most = logits.max(axis=1)
    total = np.exp(logits - most[:, None]).sum(axis=1, dtype=np.float64)
    result: FloatVector = most + np.log(total)
    return result


def calibrate(photos: CalibrationSet) -> Calibration:
    """The scale and the offset of the least loss; both sides must have photos."""
    from scipy.optimize import minimize

    found = minimize(
        photos.loss,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(_LEAST_SCALE, None), (None, None)],
    )
    return Calibration(float(found.x[0]), float(found.x[1]))


def join_heads(first: Head, second: Head) -> Head:
    """One softmax over the classes of both, the first's in front; no label may be in both."""
    return Head(
        first.labels + second.labels,
        np.concatenate([first.weights, second.weights], axis=1),
        np.concatenate([first.bias, second.bias]),
    )
