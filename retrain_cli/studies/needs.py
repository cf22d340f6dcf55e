"""How many images would reach a wanted accuracy, with its uncertainty, and how far to trust it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.studies.learning_curve import LearningCurve
from retrain_cli.studies.power_law import FEWEST_SIZES, Array, PowerLaws

_DRAWS = 400
_FARTHEST = 100  # times the images there are; beyond that a fit says nothing


@dataclass(frozen=True)
class Need:
    """What a class, or the mean over all, needs.

    Attributes:
        have: training images of a class there are, on average.
        accuracy: top-1 with these.
        needed: images of a class for the wanted accuracy by the fit; None where none suffice.
        low: lower end of the 95% interval of `needed`; None likewise.
        high: upper end; None where more may be needed than can be said.
    """

    have: float
    accuracy: float
    needed: float | None
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return dict(vars(self))

    def text(self, target: float) -> str:
        """For people: how many more images of a class."""
        if self.accuracy >= target:
            return "reached"
        if self.needed is None:
            least = self._more(self.low) if self.low is not None else "0"
            known = "" if least == "0" else f", at least {least}"
            return f"cannot be told{known}"  # a floor of the fit is no proof: docs/study.md
        if self.needed <= self.have:
            return "about reached"
        low = self._more(self.low) if self.low is not None else "0"
        high = "or more" if self.high is None else f"to {self._more(self.high)}"
        return f"{self._more(self.needed)} ({low} {high})"

    def _more(self, needed: float) -> str:
        return f"{max(0, math.ceil(needed - self.have)):,}"


@dataclass(frozen=True)
class Forecast:
    """A prediction of the largest size from much smaller ones, against what was measured there.

    Attributes:
        images: images of a class at the largest size, on average.
        predicted: top-1 that the fit on the smaller sizes predicts.
        low: lower end of its 95% interval.
        high: upper end.
        measured: top-1 that was measured.
        class_error: the same for each class: mean absolute error of the prediction.
    """

    images: float
    predicted: float
    low: float
    high: float
    measured: float
    class_error: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "error": self.predicted - self.measured}


class CurveFit:
    """Power laws of the mean over the classes and of each class, with bootstrap copies.

    For the mean, classes and repeats are drawn with replacement; for a class, repeats, and the
    right answers among its test images anew by their share (plus a half, so that 0 of 5 is not
    certain). The interval is that of the middle 95% of 400 draws.

    Args:
        curve: what was measured, two sizes at least.
        seed: equal seeds draw equally.
    """

    def __init__(self, curve: LearningCurve, seed: int) -> None:
        self._seen = np.flatnonzero((curve.n_test > 0).all(axis=0))
        self._n = curve.n_training[:, self._seen].astype(float)
        self._shares = curve.accuracies()[..., self._seen]
        self._n_test = np.rint(curve.mean_n_test[self._seen]).astype(np.int64)
        self._generator = np.random.default_rng([seed, 0xF17])
        self._mean_n = self._n.mean(axis=1)

    @property
    def classes(self) -> NDArray[np.int64]:
        """The classes that have test images in every repeat."""
        return self._seen

    def mean_law(self, sizes: int | None = None) -> PowerLaws:
        """The law of the mean over the classes, from the first so many sizes."""
        errors = 1 - self._shares.mean(axis=(1, 2))[None, :sizes]
        return PowerLaws.fit(self._mean_n[None, :sizes], errors)

    def class_laws(self, sizes: int | None = None) -> PowerLaws:
        """The law of each class."""
        errors = 1 - self._shares.mean(axis=1).T[:, :sizes]
        return PowerLaws.fit(self._n.T[:, :sizes], errors)

    def mean_draws(self, sizes: int | None = None) -> PowerLaws:
        """Bootstrap copies of `mean_law`."""
        n_sizes, n_repeats, n_classes = self._shares.shape
        errors = np.empty((_DRAWS, n_sizes))
        for draw in range(_DRAWS):
            repeats = self._generator.integers(n_repeats, size=n_repeats)
            classes = self._generator.integers(n_classes, size=n_classes)
            errors[draw] = 1 - self._shares[:, repeats][:, :, classes].mean(axis=(1, 2))
        n = np.broadcast_to(self._mean_n, errors.shape)
        return PowerLaws.fit(n[:, :sizes], errors[:, :sizes])

    def class_draws(self, index: int) -> PowerLaws:
        """Bootstrap copies of the law of one class, `index` among `classes`."""
        shares, n_test = self._shares[..., index], int(self._n_test[index])
        n_repeats = shares.shape[1]
        chosen = self._generator.integers(n_repeats, size=(_DRAWS, n_repeats))
        means = shares[:, chosen].mean(axis=2).T
        smoothed = (means * n_test + 0.5) / (n_test + 1)
        errors = 1 - self._generator.binomial(n_test, smoothed) / n_test
        return PowerLaws.fit(np.broadcast_to(self._n[:, index], errors.shape), errors)

    def mean_need(self, target: float) -> Need:
        """What the mean over the classes needs."""
        accuracy = float(self._shares[-1].mean())
        have = float(self._mean_n[-1])
        return _need(have, accuracy, self.mean_law(), self.mean_draws(), target)

    def class_needs(self, target: float) -> list[Need]:
        """What each class needs, in the order of `classes`."""
        laws = self.class_laws()
        return [
            _need(
                float(self._n[-1, index]),
                float(self._shares[-1, :, index].mean()),
                PowerLaws(laws.a[[index]], laws.b[[index]], laws.c[[index]]),
                self.class_draws(index),
                target,
            )
            for index in range(len(self._seen))
        ]

    def forecast(self) -> Forecast | None:
        """Predict the largest size from those at most half as large; None with fewer than two."""
        smaller = int((2 * self._mean_n <= self._mean_n[-1]).sum())
        if smaller < FEWEST_SIZES:
            return None
        last = self._mean_n[-1]
        predicted = 1 - self.mean_law(smaller).errors_at(last)
        drawn = 1 - self.mean_draws(smaller).errors_at(last)
        by_class = 1 - self.class_laws(smaller).errors_at(self._n[-1])
        measured = self._shares[-1].mean(axis=0)
        return Forecast(
            float(last),
            float(predicted[0]),
            float(np.quantile(drawn, 0.025)),
            float(np.quantile(drawn, 0.975)),
            float(measured.mean()),
            float(np.abs(by_class - measured).mean()),
        )


def _need(have: float, accuracy: float, law: PowerLaws, draws: PowerLaws, target: float) -> Need:
    needed = law.images_for(1 - target)[0]
    low, high = _quantiles(draws.images_for(1 - target))
    most = _FARTHEST * have
    known = [float(value) if value <= most else None for value in (needed, low, high)]
    return Need(have, accuracy, *known)


def _quantiles(values: Array) -> tuple[float, float]:
    """Ends of the middle 95%, each one of the values: a mean with infinity would say nothing."""
    ordered = np.sort(values)
    last = len(ordered) - 1
    return float(ordered[round(0.025 * last)]), float(ordered[round(0.975 * last)])
