"""Measuring a head on the validation images."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import TrainedHead
from retrain_cli.heads.rows import vectors_of
from retrain_cli.heads.temperature import FEWEST, ScoreFit, fit_temperature, platt_doubt

MOST_IMAGES = 10_000  # more do not tell heads apart any better, and take as long as training

_CHUNK_SCORES = 4_000_000


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
        rows = data.validation
        if len(rows) > MOST_IMAGES:
            rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_IMAGES, replace=False))
        return cls(vectors_of(data, rows), data.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def chunks(self, n_classes: int) -> list[slice]:
        """Pieces whose scores take little memory."""
        size = max(1, _CHUNK_SCORES // n_classes)
        return [slice(start, start + size) for start in range(0, len(self), size)]

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


def with_fitted_scores(trained: TrainedHead, data: HeadData, seed: int) -> TrainedHead:
    """A trained head whose scores mean what they say on the validation images.

    The head itself where its scores are fitted already, where there are fewer than 10 images, or
    where it is no better than chance on them.
    """
    images = ValidationSet.of(data, seed)
    if trained.fit is not None or len(images) < FEWEST:
        return trained
    head = trained.head.natural
    pieces = [head.logits(images.bottlenecks[rows]) for rows in images.chunks(head.n_classes)]
    found = fit_temperature(pieces, images.labels, doubt=platt_doubt(len(images)))
    if found is None:
        return trained
    fit = ScoreFit(found, len(images), "validation")
    return replace(trained, head=trained.head.at_temperature(found), fit=fit)
