"""The temperature of a softmax: one number that makes a head's scores mean what they say.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017:
the logits are divided by the temperature that minimises the log loss of images that the head was
not fitted to. No answer changes, for the order of an image's scores does not; above 1 they become
less sure, below 1 surer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LOWEST, HIGHEST = 1e-4, 1e4  # temperatures

_FINE = 1e-9  # of the logarithm of a temperature

_Logs = NDArray[np.floating]


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
