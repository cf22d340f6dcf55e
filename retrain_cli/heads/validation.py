"""Measuring a head on the validation images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.predictions import chunks
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import TrainedHead
from retrain_cli.heads.rows import vectors_of
from retrain_cli.heads.temperature import FEWEST, ScoreFit, fit_temperature, platt_doubt

MOST_IMAGES = 10_000  # more do not tell heads apart any better, and take as long as training

_MOST_FITTED = 100_000_000  # scores that a temperature is fitted to: 400 MB, read some thirty times


@dataclass(frozen=True)
class Score:
    """How good a head is on validation.

    Attributes:
        loss: mean cross-entropy.
        accuracy: share of right answers.
    """

    loss: float
    accuracy: float

    def better_than(self, other: Score) -> bool:
        """A lower loss, or the same with more right answers.

        Of few images the share of right answers is a coarse measure: by it one image, right by
        chance, would keep a head that has hardly been trained, whose scores say nothing.
        """
        return (self.loss, -self.accuracy) < (other.loss, -other.accuracy)


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """The images to measure on: all of them, up to a seeded choice of 10,000.

    Attributes:
        bottlenecks: `(n_images, width) float32`, in memory.
        labels: `(n_images,) int32`.
    """

    bottlenecks: NDArray[np.float32]
    labels: NDArray[np.int32]

    @classmethod
    def of(cls, data: HeadData, seed: int) -> ValidationSet:
        """The validation images of the data."""
        rows = drawn(data.validation, MOST_IMAGES, seed)
        return cls(vectors_of(data, rows), data.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def chunks(self, n_classes: int) -> Iterator[slice]:
        """Pieces whose scores take little memory."""
        return chunks(len(self), n_classes)

    def only(self, most: int, seed: int) -> ValidationSet:
        """At most so many of the images, a seeded choice."""
        rows = drawn(np.arange(len(self)), most, seed)
        return (
            self
            if len(rows) == len(self)
            else ValidationSet(self.bottlenecks[rows], self.labels[rows])
        )

    def temperature(self, head: Head) -> float | None:
        """What a head's logits are divided by to fit these images; None as of `fit_temperature`.

        None also where there are fewer than 10 images. All their scores are held in memory.
        """
        if len(self) < FEWEST:
            return None
        pieces = [head.logits(self.bottlenecks[rows]) for rows in self.chunks(head.n_classes)]
        return fit_temperature(pieces, self.labels, doubt=platt_doubt(len(self)))

    def measure(self, head: Head) -> Score | None:
        """Measure a head, in NumPy; None without images."""
        if not len(self):
            return None
        loss, hits = 0.0, 0
        for rows in self.chunks(head.n_classes):
            logs = head.log_probabilities(self.bottlenecks[rows])
            own = np.take_along_axis(logs, self.labels[rows, None], axis=1)
            loss -= float(own.sum(dtype=np.float64))
            hits += int((logs.argmax(axis=1) == self.labels[rows]).sum())
        return Score(loss / len(self), hits / len(self))


def drawn(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """All rows or, where they are more than `most`, a seeded choice of so many, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))


def most_fitted(n_classes: int) -> int:
    """How many images a temperature is fitted to: of very many classes fewer, for all their scores.

    With 100,000 classes these are 1,000 images, which tell one number well enough.
    """
    return max(FEWEST, _MOST_FITTED // n_classes)


def with_fitted_scores(trained: TrainedHead, data: HeadData, seed: int) -> TrainedHead:
    """A trained head whose scores mean what they say on the validation images.

    The head itself where its scores are fitted already, where there are fewer than 10 images, or
    where it is no better than chance on them.
    """
    if trained.fit is not None:
        return trained
    images = ValidationSet.of(data, seed).only(most_fitted(data.n_classes), seed)
    found = images.temperature(trained.head.natural)
    if found is None:
        return trained
    fit = ScoreFit(found, len(images), "validation")
    return replace(trained, head=trained.head.at_temperature(found), fit=fit)
