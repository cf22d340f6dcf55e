"""What an exported file answers, beside what its run answers: on the same photos."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, setting

Scores = NDArray[np.float32]

FLOAT_TOLERANCE = 0.001
"""The share of photos that a file of floats may give another label than the run, ties apart."""

TIE = 0.05
"""The run is undecided between two labels whose scores are less than this apart. A grey level more
turns such a photo, whatever file it goes through; a fault of preprocessing turns others, too."""

INT8_TOLERANCE = 0.01
"""How much lower the accuracy of an 8-bit file may be, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What somebody says about some photos, and how long that takes.

    Attributes:
        scores: `(n_photos, n_classes) float32`.
        seconds: `(n_photos,)`, from a photo's bytes to its scores, one photo at a time.
    """

    scores: Scores
    seconds: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        photos: Sequence[bytes],
        answer: Callable[[bytes], Scores],
        on_photo: Callable[[int], None] = lambda done: None,
    ) -> Answers:
        """Ask about each photo; the first one is asked about twice, for the first call compiles."""
        answer(photos[0])
        found, seconds = [], []
        for number, photo in enumerate(photos, 1):
            start = time.perf_counter()
            found.append(answer(photo))
            seconds.append(time.perf_counter() - start)
            on_photo(number)
        return cls(np.stack(found), np.array(seconds))

    def accuracy(self, labels: NDArray[np.integer]) -> float:
        """The share of photos whose best class is the true one, 0 to 1."""
        return float((self.scores.argmax(axis=1) == labels).mean())

    @property
    def latency(self) -> dict[str, float]:
        """Median and 95th percentile, in milliseconds."""
        median, p95 = np.percentile(self.seconds, (50, 95)) * 1000
        return {"median": round(float(median), 3), "p95": round(float(p95), 3)}


@dataclass(frozen=True, eq=False)
class Parity:
    """A file beside its run.

    Attributes:
        reference: what the run answers; in float32, whatever it was trained in.
        file: what the file answers.
        labels: `(n_photos,)` true classes.
        tolerance: what may differ: a share of photos, or for int8 of the accuracy.
        by_accuracy: whether it is the accuracy.
    """

    reference: Answers
    file: Answers
    labels: NDArray[np.integer]
    tolerance: float
    by_accuracy: bool

    @property
    def largest_difference(self) -> float:
        """Of any score of any photo; infinite where the file gave what is no number."""
        if not np.isfinite(self.file.scores).all():
            return math.inf
        return float(np.abs(self.file.scores - self.reference.scores).max())

    @property
    def other_labels(self) -> int:
        """How many photos have another best class."""
        return int(self._is_other.sum())

    @property
    def ties(self) -> int:
        """How many of these the run itself is undecided about."""
        own, rows = self.reference.scores, np.arange(len(self.labels))
        lead = own.max(axis=1) - own[rows, self.file.scores.argmax(axis=1)]
        return int((self._is_other & (lead < TIE)).sum())

    @property
    def _is_other(self) -> NDArray[np.bool_]:
        own, other = self.reference.scores.argmax(axis=1), self.file.scores.argmax(axis=1)
        return np.asarray(own != other)

    @property
    def allowed(self) -> int:
        """How many photos may have another best class, or for int8 be lost; at least one may."""
        return math.ceil(self.tolerance * len(self.labels) - 1e-9)

    @property
    def fault(self) -> str | None:
        """Why the file is rejected; None where it is as good as its run."""
        if math.isinf(self.largest_difference):
            return "some of its scores are no numbers"
        if self.by_accuracy:
            lost = self.reference.accuracy(self.labels) - self.file.accuracy(self.labels)
            if round(lost * len(self.labels)) > self.allowed:
                return (
                    f"it is right {lost * 100:.1f} points less often than the run, and "
                    f"{self.tolerance * 100:g} are allowed"
                )
            return None
        if (decided := self.other_labels - self.ties) > self.allowed:
            return (
                f"it gives {decided} of {len(self.labels)} photos another label than the run, "
                f"which was sure of its own, and {self.allowed} may have one"
            )
        return None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        difference = self.largest_difference
        return {
            "photos": len(self.labels),
            "largest_difference": None if math.isinf(difference) else difference,
            "other_labels": self.other_labels,
            "ties": self.ties,
            "top1_agreement": 1 - self.other_labels / len(self.labels),
            "accuracy": self.file.accuracy(self.labels),
            "latency_ms": self.file.latency,
            "tolerance": self.tolerance,
            "fault": self.fault,
        }


def tolerance_for(precision: str, wanted: float | None) -> float:
    """The tolerance that was asked for, else the usual one.

    Raises:
        ConfigError: it is no share.
    """
    if wanted is None:
        return INT8_TOLERANCE if precision == "int8" else FLOAT_TOLERANCE
    if not 0 <= wanted < 1:
        raise ConfigError(f"{setting('tolerance')} must be from 0 to below 1, not {wanted:g}")
    return wanted
