"""When to say "none of these": thresholds that keep the errors of what is answered below a rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RunError, setting
from retrain_cli.evaluation.intervals import Estimate, share_estimate

Rejected = Literal["novel", "unsure"]
"""Why a photo is not named: unlike the training photos, or like several classes of them."""


@dataclass(frozen=True)
class RejectionRule:
    """An answer needs at least this score and at most this novelty.

    Attributes:
        least_score: probability of the best class.
        most_novelty: how unlike the training photos; see `NoveltyModel`.
        n_images: validation images that it was chosen on.
        kept: those of them that it answers.
        wrong: those of the answered that are wrong.
    """

    least_score: float
    most_novelty: float
    n_images: int
    kept: int
    wrong: int

    @property
    def coverage(self) -> Estimate | None:
        """Share of the validation images that is answered, with its 95% interval (Wilson)."""
        return share_estimate(self.kept, self.n_images)

    @property
    def error(self) -> Estimate | None:
        """Share of the answers that is wrong, with its 95% interval (Wilson)."""
        return share_estimate(self.wrong, self.kept)


@dataclass(frozen=True)
class ScoreThreshold:
    """Leaves photos unnamed by their score alone: of runs that travelled without their photos.

    Attributes:
        least_score: probability of the best class.
    """

    least_score: float

    def judge(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> list[tuple[float | None, Rejected | None]]:
        """Why each photo is left unnamed, or None; how novel it is nobody knows.

        Args:
            vectors: bottlenecks, which are not looked at.
            scores: `(n_images,)` probability of the best class.
        """
        return [(None, "unsure" if one < self.least_score else None) for one in scores.tolist()]


def choose_rule(
    scores: NDArray[np.float32],
    right: NDArray[np.bool_],
    novelty: NDArray[np.float32],
    max_error: float,
) -> RejectionRule:
    """The rule that answers most at the wanted error rate.

    The novelty is bounded first, so that at most the share `max_error` of the known photos is
    called novel. Of the rest the lowest score is taken from which on at most that share is wrong.
    A rate that so few answers cannot tell from 0 (fewer than 1 / max_error) is not promised.

    Args:
        scores: `(n_images,)` probability of the best class, on validation images.
        right: `(n_images,)` whether that class is the true one.
        novelty: `(n_images,)`.
        max_error: from 0 to 1, both excluded.

    Raises:
        RunError: no images, or the rate cannot be reached.
    """
    n_images = len(scores)
    if not n_images:
        raise no_validation_images()
    most_novelty = np.sort(novelty)[n_images - 1 - math.floor(max_error * n_images)]
    known = novelty <= most_novelty
    order = np.argsort(-scores[known], kind="stable")
    ranked, wrong = scores[known][order], np.cumsum(~right[known][order])
    fewest = math.ceil(1 / max_error)
    last = _last_answered(ranked, wrong, max_error, fewest)
    if last is None:
        raise RunError(
            f"{setting('max_error', max_error)} needs {fewest} or more of the {n_images} "
            "validation images of this run to be answered with no more errors than that, and no "
            "threshold does it: allow a higher rate, or train on more photos"
        )
    return RejectionRule(
        float(ranked[last]), float(most_novelty), n_images, last + 1, int(wrong[last])
    )


def no_validation_images() -> RunError:
    """The error of a run without the images that thresholds are chosen on."""
    return RunError(
        f"{setting('reject')} chooses its thresholds on validation images, and this run has "
        f"none: train with {setting('validation_percentage', 10)}"
    )


def _last_answered(
    ranked: NDArray[np.float32], wrong: NDArray[np.int64], max_error: float, fewest: int
) -> int | None:
    """How far down the ranking at most the share `max_error` is wrong; None where nowhere.

    Args:
        ranked: `(n_images,)` scores, best first.
        wrong: `(n_images,)` wrong answers up to each.
        max_error: from 0 to 1.
        fewest: so many have to be answered.
    """
    counts = np.arange(1, len(ranked) + 1)
    ends = np.append(ranked[1:] < ranked[:-1], True)  # equal scores are answered together
    allowed = np.flatnonzero(ends & (wrong <= max_error * counts) & (counts >= fewest))
    return int(allowed[-1]) if len(allowed) else None
