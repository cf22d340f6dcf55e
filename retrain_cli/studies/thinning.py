"""A dataset made imbalanced on purpose: half of the classes keep a few of their photos."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import DatasetError, setting
from retrain_cli.studies.study_data import StudyData

FEWEST = 2
"""Training photos of a small class: of one, nothing can be learned but where it is."""


@dataclass(frozen=True)
class Thinning:
    """How many photos which class keeps.

    Attributes:
        ratio: photos of a large class to one of a small class.
        most: training photos of a large class at most; None for all.
    """

    ratio: float
    most: int | None

    def sizes(self, data: StudyData, seed: int) -> tuple[int, int]:
        """Training photos of a large class, at the median of all before, and of a small one.

        Raises:
            DatasetError: a small class would have fewer than two, or a class has none at all.
        """
        counts = data.split_by(seed).n_training()
        small = self._small(counts)
        large = int(np.median(self._at_most(counts)))
        if small < FEWEST or counts.min() < small:
            few = int(counts.argmin())
            raise DatasetError(
                f"{setting('ratio', f'{self.ratio:g}')} makes classes of {small} training photos "
                f"beside classes of {large}, and takes {max(small, FEWEST)} of each class; "
                f"{data.class_names[few]} has {counts[few]}: lower {setting('ratio')}, or add "
                "photos"
            )
        return large, small

    def small_classes(self, data: StudyData, seed: int) -> NDArray[np.int64]:
        """Indices of the half of the classes that is made small; of three, one."""
        chosen = np.random.default_rng([seed, 0xBA1]).permutation(len(data.class_names))
        return np.sort(chosen[: len(data.class_names) // 2])

    def apply(self, part: StudyData, seed: int) -> StudyData:
        """A part of a study's data thinned out; its test photos stay.

        Validation photos are thinned as training photos are, for nobody has few photos to train on
        and many to choose by. One is left, where there is one.
        """
        data = part.data
        is_small = np.zeros(data.n_classes, bool)
        is_small[self.small_classes(part, seed)] = True
        counts = part.n_training()
        most = self._at_most(counts)
        kept = np.where(is_small, np.minimum(most, self._small(counts)), most)
        generator = np.random.default_rng([seed, 0xBA2])
        training = [*_some(data.training, data.labels, kept, generator)]
        n_validation = np.bincount(data.labels[data.validation], minlength=data.n_classes)
        chosen_by = np.rint(n_validation * kept / np.maximum(counts, 1)).astype(np.int64)
        chosen_by = np.minimum(np.maximum(chosen_by, 1), n_validation)
        validation = [*_some(data.validation, data.labels, chosen_by, generator)]
        thinned = replace(
            data,
            training=np.sort(np.concatenate(training)),
            validation=np.sort(np.concatenate(validation)),
        )
        return replace(part, data=thinned)

    def _at_most(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        largest = int(counts.max(initial=0))
        return np.minimum(counts, largest if self.most is None else min(self.most, largest))

    def _small(self, counts: NDArray[np.int64]) -> int:
        return round((self.most or float(np.median(counts))) / self.ratio)


def _some(
    rows: NDArray[np.int64],
    labels: NDArray[np.int32],
    kept: NDArray[np.int64],
    generator: np.random.Generator,
) -> Iterator[NDArray[np.int64]]:
    """So many rows of each class, at random."""
    for label, count in enumerate(kept.tolist()):
        yield generator.permutation(rows[labels[rows] == label])[:count]
