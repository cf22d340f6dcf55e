"""Temperature scaling: one number that makes a head's scores mean what they say.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks", ICML 2017:
the logits are divided by the temperature that minimises the log loss on validation. No answer
changes, for the order of an image's scores does not; above 1 they become less sure, below 1 surer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError
from retrain_cli.evaluation.arrays import checked, damaged, in_range, read_arrays
from retrain_cli.evaluation.predictions import Predictions

LOWEST, HIGHEST = 1e-4, 1e4  # temperatures

_LARGEST = 1e30
"""A normaliser; of a head that was trained it has a few digits."""

_WHAT = "the calibration of a run"
_Logs = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Calibration:
    """A fitted temperature, and what turns saved predictions into calibrated ones.

    Attributes:
        temperature: what logits are divided by.
        n_images: validation images that it was fitted to.
        log_normalisers: `(n_images of the run,) float64`, for each image the logarithm of the sum
            of its probabilities to the power of 1 / temperature.
    """

    temperature: float
    n_images: int
    log_normalisers: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"temperature": self.temperature, "fitted_to_images": self.n_images}

    def apply(self, predictions: Predictions) -> Predictions:
        """The predictions of the same head with its scores calibrated.

        Raises:
            RunError: they are those of another run.
        """
        if len(predictions) != len(self.log_normalisers):
            raise RunError(
                f"a calibration must fit its run, but it is of {len(self.log_normalisers)} images "
                f"and the run has {len(predictions)}: `retrain eval --calibrate` fits it again"
            )
        with np.errstate(divide="ignore"):  # a probability of 0 stays one
            logs = np.log(predictions.top_scores.astype(np.float64))
        logs = logs / self.temperature - self.log_normalisers[:, None]
        own = predictions.log_probability / self.temperature - self.log_normalisers
        return replace(
            predictions,
            log_probability=np.minimum(own, 0).astype(np.float32),
            top_scores=np.exp(np.minimum(logs, 0)).astype(np.float32),
        )

    def save(self, path: Path) -> None:
        """Write an `.npz` without pickles."""
        with path.open("wb") as file:
            np.savez(
                file,
                temperature=np.float64(self.temperature),
                n_images=np.int64(self.n_images),
                log_normalisers=self.log_normalisers,
            )

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read what `save` wrote.

        Raises:
            RunError: the file is damaged.
        """
        saved = read_arrays(path, ("temperature", "n_images", "log_normalisers"), _WHAT)
        try:
            temperature, n_images = float(saved["temperature"]), int(saved["n_images"])
            normalisers = checked(saved["log_normalisers"], "log_normalisers", "f", None)
            in_range(normalisers, "log_normalisers", -_LARGEST, _LARGEST)
        except (TypeError, ValueError, OverflowError) as error:
            raise damaged(path, _WHAT, error) from error
        if not LOWEST <= temperature <= HIGHEST:
            raise damaged(path, _WHAT, ValueError(f"a temperature of {temperature}"))
        return cls(temperature, n_images, normalisers.astype(np.float64))


def fit_temperature(pieces: list[_Logs], labels: NDArray[np.integer]) -> float | None:
    """The temperature of the lowest log loss; None where there is none from 0.0001 to 10,000.

    That happens where every image is right (the surer, the better) or answers are no better than
    chance. The loss is convex in the inverse temperature, so it is lowest where its slope is 0.

    Args:
        pieces: `(some images, n_classes)` log-probabilities or logits, in the order of `labels`.
        labels: `(n_images,)` true classes.
    """
    from scipy.optimize import brentq

    def slope(log_temperature: float) -> float:
        return loss_slope(pieces, labels, math.exp(-log_temperature))

    edges = (math.log(LOWEST), math.log(HIGHEST))
    if _all_right(pieces, labels) or slope(edges[0]) <= 0 or slope(edges[1]) >= 0:
        return None
    return math.exp(brentq(slope, *edges, xtol=1e-9))


def _all_right(pieces: list[_Logs], labels: NDArray[np.integer]) -> bool:
    predicted = [logs.argmax(axis=1) for logs in pieces]
    return bool((np.concatenate(predicted) == labels).all())


def loss_slope(pieces: list[_Logs], labels: NDArray[np.integer], inverse: float) -> float:
    """Slope of the mean log loss over the inverse temperature, at an inverse temperature.

    It is the mean difference of the score-weighted mean logit and the logit of the true class.
    """
    total, done = 0.0, 0
    for logs in pieces:
        # Logits count up to a constant an image: from the true class's no digits are lost.
        own = np.take_along_axis(logs, labels[done : done + len(logs), None], axis=1)
        above = logs.astype(np.float64) - own
        weights = np.exp(inverse * (above - above.max(axis=1, keepdims=True)))
        total += float(((weights * above).sum(axis=1) / weights.sum(axis=1)).sum())
        done += len(logs)
    return total / done


def log_normalisers(logs: _Logs, temperature: float) -> NDArray[np.float64]:
    """Logarithms of the sums of probabilities to the power of 1 / temperature, `(n_images,)`."""
    scaled = logs.astype(np.float64) / temperature
    highest = scaled.max(axis=1)
    sums: NDArray[np.float64] = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
    return sums


def all_normalisers(pieces: Iterable[_Logs], temperature: float) -> NDArray[np.float64]:
    """The same for images that come in pieces."""
    return np.concatenate([log_normalisers(logs, temperature) for logs in pieces])
