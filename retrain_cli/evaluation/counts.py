"""Sums and counts behind every figure; those of two sets of images add up to those of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import Split
from retrain_cli.errors import ConfigError, setting
from retrain_cli.evaluation.predictions import Predictions

MOST_CLASSES_OF_A_MATRIX = 5_000


@dataclass(frozen=True, eq=False)
class EvalCounts:
    """Counts of one set of images.

    Attributes:
        ks: the k's for which hits are counted, ascending, 1 among them.
        n_images: `(n_classes,) int64`, images of each true class.
        hits: `(n_classes, len(ks)) int64`, images of each true class with it among the k best.
        pairs: `(n_pairs, 2) int32`, (true, predicted) classes that occur, sorted.
        pair_counts: `(n_pairs,) int64`, how often each occurs.
    """

    ks: tuple[int, ...]
    n_images: NDArray[np.int64]
    hits: NDArray[np.int64]
    pairs: NDArray[np.int32]
    pair_counts: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """Number of classes, those without images included."""
        return len(self.n_images)

    @classmethod
    def from_predictions(
        cls, predictions: Predictions, split: Split | None, ks: Iterable[int] = (1, 5)
    ) -> EvalCounts:
        """Count a split, or all images for None.

        Raises:
            ConfigError: a k below 1.
        """
        rows = predictions.rows(split)
        return cls.count(
            predictions.images.labels[rows],
            predictions.rank[rows],
            predictions.top_classes[rows, 0],
            predictions.n_classes,
            ks,
        )

    @classmethod
    def count(
        cls,
        labels: NDArray[np.integer],
        ranks: NDArray[np.integer],
        predicted: NDArray[np.integer],
        n_classes: int,
        ks: Iterable[int] = (1, 5),
    ) -> EvalCounts:
        """Count images given their true class, its rank (from 1) and the best class.

        Raises:
            ConfigError: a k below 1.
        """
        wanted = tuple(sorted({1, *ks}))
        if wanted[0] < 1:
            raise ConfigError(
                f"{setting('EvalRequest.ks')} takes numbers of at least 1, not {wanted[0]}"
            )
        hits = [np.bincount(labels[ranks <= k], minlength=n_classes) for k in wanted]
        keys, counts = np.unique(_pair_key(labels, predicted, n_classes), return_counts=True)
        return cls(
            wanted,
            np.bincount(labels, minlength=n_classes).astype(np.int64),
            np.stack(hits, axis=1).astype(np.int64),
            _split_keys(keys, n_classes),
            counts.astype(np.int64),
        )

    def merge(self, other: EvalCounts) -> EvalCounts:
        """Counts of the images of both.

        Raises:
            ValueError: they count different classes or k's.
        """
        if (self.ks, self.n_classes) != (other.ks, other.n_classes):
            raise ValueError("only counts of the same classes and k's can be merged")
        pairs = np.concatenate([self.pairs, other.pairs])
        counts = np.concatenate([self.pair_counts, other.pair_counts])
        keys, where = np.unique(
            _pair_key(pairs[:, 0], pairs[:, 1], self.n_classes), return_inverse=True
        )
        merged = np.zeros(len(keys), np.int64)
        np.add.at(merged, where, counts)
        return EvalCounts(
            self.ks,
            self.n_images + other.n_images,
            self.hits + other.hits,
            _split_keys(keys, self.n_classes),
            merged,
        )

    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix, `(n_classes, n_classes) int64`: rows true, columns predicted.

        Raises:
            ConfigError: more than 5,000 classes, whose matrix nobody can use.
        """
        if self.n_classes > MOST_CLASSES_OF_A_MATRIX:
            raise ConfigError(
                f"a confusion matrix has at most {MOST_CLASSES_OF_A_MATRIX:,} classes, not "
                f"{self.n_classes:,}: {setting('confused')} lists the pairs that occur"
            )
        matrix = np.zeros((self.n_classes, self.n_classes), np.int64)
        matrix[self.pairs[:, 0], self.pairs[:, 1]] = self.pair_counts
        return matrix


def _pair_key(
    true: NDArray[np.integer], predicted: NDArray[np.integer], n_classes: int
) -> NDArray[np.int64]:
    return true.astype(np.int64) * n_classes + predicted


def _split_keys(keys: NDArray[np.int64], n_classes: int) -> NDArray[np.int32]:
    return np.stack(np.divmod(keys, n_classes), axis=1).astype(np.int32)
