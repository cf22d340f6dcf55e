"""The scores of all classes for each image of a split, a piece at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.predictions import Classifier, Predictions, chunks

_Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AllScores:
    """Scores of n images for all classes, which need not fit into memory together.

    Attributes:
        labels: `(n_images,) int32`, the true classes.
        n_classes: number of classes.
        own: `(n_images,) float32`, probability of each image's true class.
        pieces: a new iterator over `(some images, n_classes) float32` probabilities, in order.
    """

    labels: NDArray[np.int32]
    n_classes: int
    own: _Floats
    pieces: Callable[[], Iterator[_Floats]]

    @property
    def n_values(self) -> int:
        """How many scores there are."""
        return len(self.labels) * self.n_classes


def saved_scores(predictions: Predictions, rows: NDArray[np.int64]) -> AllScores | None:
    """Scores as they were saved; None where only the best of them were."""
    if predictions.top_classes.shape[1] < predictions.n_classes:
        return None
    labels = predictions.images.labels[rows]
    is_own = predictions.top_classes[rows] == labels[:, None]
    own = predictions.top_scores[rows][is_own]

    def pieces() -> Iterator[_Floats]:
        for part in chunks(len(rows), predictions.n_classes):
            chosen = rows[part]
            scores = np.empty((len(chosen), predictions.n_classes), np.float32)
            np.put_along_axis(
                scores, predictions.top_classes[chosen], predictions.top_scores[chosen], axis=1
            )
            yield scores

    return AllScores(labels, predictions.n_classes, own, pieces)


def computed_scores(
    classifier: Classifier, bottlenecks: _Floats, predictions: Predictions, rows: NDArray[np.int64]
) -> AllScores:
    """Scores computed from bottlenecks anew.

    Args:
        classifier: the head.
        bottlenecks: `(n_rows, width) float32`; row i belongs to row `rows[i]` of the predictions.
        predictions: what the same head said.
        rows: the images.
    """
    labels = predictions.images.labels[rows]

    def pieces() -> Iterator[_Floats]:
        for part in chunks(len(rows), max(classifier.n_classes, bottlenecks.shape[1])):
            yield np.exp(classifier.log_probabilities(bottlenecks[part]))

    own = np.exp(predictions.log_probability[rows])
    return AllScores(labels, classifier.n_classes, own, pieces)
