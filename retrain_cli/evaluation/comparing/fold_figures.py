"""What the folds of a cross-validation say together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.evaluation import figures
from retrain_cli.evaluation.intervals import student_half_width

INTERVAL = "95% t interval over folds"


@dataclass(frozen=True)
class FoldMean:
    """A share, measured once in each fold.

    Attributes:
        mean: mean over the folds.
        sd: standard deviation over the folds (divided by n - 1).
        low: lower end of the 95% interval of the mean, at least 0.
        high: upper end, at most 1.
        folds: the share in each fold; None where the fold does not define it.
    """

    mean: float
    sd: float
    low: float
    high: float
    folds: tuple[float | None, ...]

    @classmethod
    def of(cls, folds: Sequence[float | None]) -> FoldMean | None:
        """Mean, deviation and interval; None where fewer than two folds define the share.

        The interval is Student's, `mean +- t(n - 1) sd / sqrt(n)`, cut to [0, 1]. Folds share
        most of their training images, so their scatter is a little less than that of independent
        repetitions, and the interval a little narrow; no unbiased estimate of that variance exists
        (Y. Bengio and Y. Grandvalet, "No unbiased estimator of the variance of k-fold
        cross-validation", JMLR 5, 2004).
        """
        values = np.array([value for value in folds if value is not None])
        n = len(values)
        if n < 2:
            return None
        mean, sd = float(values.mean()), float(values.std(ddof=1))
        half = student_half_width(values)
        return cls(mean, sd, max(0.0, mean - half), min(1.0, mean + half), tuple(folds))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> FoldMean | None:
        """The inverse of `to_dict`; None stays None."""
        return cls(**{**values, "folds": (*values["folds"],)}) if values else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "mean": self.mean,
            "sd": self.sd,
            "low": self.low,
            "high": self.high,
            "folds": list(self.folds),
        }


@dataclass(frozen=True)
class FoldFigures:
    """The figures of a cross-validation.

    Attributes:
        n_folds: how many folds there were to be.
        images: images held out, in each fold that was finished.
        means: each of the headline figures over these folds; None where it is not defined.
    """

    n_folds: int
    images: tuple[int, ...]
    means: Mapping[str, FoldMean | None]

    @classmethod
    def of(cls, n_folds: int, folds: Sequence[Mapping[str, Any]]) -> FoldFigures:
        """Summarise the headline figures of each finished fold."""
        names = [one.name for one in figures.HEADLINES]
        means = {name: FoldMean.of([fold[name] for fold in folds]) for name in names}
        return cls(n_folds, tuple(fold["images"] for fold in folds), means)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "folds": self.n_folds,
            "finished_folds": len(self.images),
            "images": list(self.images),
            "interval": INTERVAL,
            **{name: mean and mean.to_dict() for name, mean in self.means.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FoldFigures:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError: something is missing or of the wrong kind.
        """
        means = {
            one.name: FoldMean.from_dict(values[one.name])
            for one in figures.HEADLINES
            if one.name in values  # a figure may be younger than the run
        }
        return cls(values["folds"], tuple(values["images"]), means)
