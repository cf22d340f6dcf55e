"""The calibration of a run: the temperature of its softmax, kept beside the head."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError
from retrain_cli.evaluation.arrays import checked, damaged, in_range, read_arrays
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.heads.temperature import HIGHEST, LOWEST

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


def log_normalisers(logs: _Logs, temperature: float) -> NDArray[np.float64]:
    """Logarithms of the sums of probabilities to the power of 1 / temperature, `(n_images,)`."""
    scaled = logs.astype(np.float64) / temperature
    highest = scaled.max(axis=1)
    sums: NDArray[np.float64] = highest + np.log(np.exp(scaled - highest[:, None]).sum(axis=1))
    return sums


def all_normalisers(pieces: Iterable[_Logs], temperature: float) -> NDArray[np.float64]:
    """The same for images that come in pieces."""
    return np.concatenate([log_normalisers(logs, temperature) for logs in pieces])
