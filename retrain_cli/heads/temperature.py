"""The temperature of a softmax: one number that makes a head's scores mean what they say.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017:
the logits are divided by the temperature that minimises the log loss of images that the head was
not fitted to. No answer changes, for the order of an image's scores does not; above 1 they become
less sure, below 1 surer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 1e-4, 1e4  # temperatures

FEWEST = 10
"""Images that a temperature is fitted to at least when a head is trained: fewer tell too little."""

_FINE = 1e-9  # of the logarithm of a temperature

_Logs = NDArray[np.floating]


@dataclass(frozen=True)
class ScoreFit:
    """How the scores of a head were fitted when it was trained.

    Attributes:
        temperature: what the trained logits were divided by.
        images: number of images that it was fitted to.
        by: which images: of the validation split, or left out of training in turn.
        l2: the weight decay that ridge chose; None for others.
        log_loss: log loss of these images, each by a head that never saw it; None for validation.
        picked: the optimiser that auto picked; None for others.
        log_losses: cross-validated log loss of each that auto tried.
    """

    temperature: float
    images: int
    by: Literal["validation", "left out"]
    l2: float | None = None
    log_loss: float | None = None
    picked: str | None = None
    log_losses: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "log_losses": dict(self.log_losses)}


def fit_temperature(
    pieces: list[_Logs], labels: NDArray[np.integer], *, doubt: float = 0.0, fine: float = _FINE
) -> float | None:
    """The temperature of the lowest log loss; None where there is none from 0.0001 to 10,000.

    That happens where every image is right (the surer, the better: `platt_doubt` bounds that) or
    answers are no better than chance. The loss is convex in the inverse temperature, so it is
    lowest where its slope is 0.

    Args:
        pieces: `(some images, n_classes)` log-probabilities or logits, in the order of `labels`.
        labels: `(n_images,)` true classes.
        doubt: share of each image's target that the classes other than the true one have.
        fine: how exactly the logarithm of the temperature is found.
    """
    from scipy.optimize import brentq

    def slope(log_temperature: float) -> float:
        return loss_slope(pieces, labels, math.exp(-log_temperature), doubt)

    edges = (math.log(LOWEST), math.log(HIGHEST))
    if (not doubt and _all_right(pieces, labels)) or slope(edges[0]) <= 0 or slope(edges[1]) >= 0:
        return None
    return math.exp(brentq(slope, *edges, xtol=fine))


def platt_doubt(n_images: int) -> float:
    """How much doubt so many images leave, by Laplace's rule of succession.

    J. Platt, "Probabilistic outputs for support vector machines", 1999, fits to such targets: that
    ten of ten are right does not mean that the eleventh must be.
    """
    return 1 / (n_images + 2)


def _all_right(pieces: list[_Logs], labels: NDArray[np.integer]) -> bool:
    predicted = [logs.argmax(axis=1) for logs in pieces]
    return bool((np.concatenate(predicted) == labels).all())


def loss_slope(
    pieces: Iterable[_Logs], labels: NDArray[np.integer], inverse: float, doubt: float = 0.0
) -> float:
    """Slope of the mean log loss over the inverse temperature, at an inverse temperature.

    It is the mean difference of the score-weighted mean logit and the logit of the true class; with
    doubt, of the target-weighted mean logit.
    """
    total, done = 0.0, 0
    for logs in pieces:
        # Logits count up to a constant an image: from the true class's no digits are lost.
        own = np.take_along_axis(logs, labels[done : done + len(logs), None], axis=1)
        above = logs.astype(np.float64) - own
        weights = np.exp(inverse * (above - above.max(axis=1, keepdims=True)))
        total += float(((weights * above).sum(axis=1) / weights.sum(axis=1)).sum())
        if doubt:
            total -= doubt * float(above.sum()) / (logs.shape[1] - 1)
        done += len(logs)
    return total / done
