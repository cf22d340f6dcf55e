"""Which classes are taken for which, the most frequent mistakes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.evaluation.counts import EvalCounts


@dataclass(frozen=True)
class ConfusedPair:
    """A mistake that occurs.

    Attributes:
        true: the true class.
        predicted: the class it is taken for.
        count: how many images.
        n_images: images of the true class.
    """

    true: str
    predicted: str
    count: int
    n_images: int

    @property
    def share(self) -> float:
        """Share of the true class's images."""
        return self.count / self.n_images

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "share": self.share}


def confused_pairs(
    counts: EvalCounts, class_names: Sequence[str], most: int | None = None
) -> tuple[ConfusedPair, ...]:
    """The most confused pairs, by count, then by share of the true class; all for `most` None."""
    true, predicted = counts.pairs.T
    wrong = np.flatnonzero(true != predicted)
    count = counts.pair_counts[wrong]
    share = count / counts.n_images[true[wrong]]
    order = wrong[np.lexsort((-share, -count))][:most]
    return tuple(
        ConfusedPair(
            class_names[true[pair]],
            class_names[predicted[pair]],
            int(counts.pair_counts[pair]),
            int(counts.n_images[true[pair]]),
        )
        for pair in order.tolist()
    )
