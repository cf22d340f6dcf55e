"""Heads trained on 3, 5, 10, ... and all images of each class: what three studies look at.

In a repeat the test images are the same for every size, and the training images of a size are among
those of the next larger one. The next repeat draws its split and its training images anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudySettings,
    option,
    repeated,
    results_of,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial

PAPER_SIZES = (3, 5, 10, 33, 100, 330, 1000)
SIZES = "Training images per class, such as 3,5,10; all images are always the last."
"""The help of the option that chooses the sizes."""
_ALL = "all"
_APART = 1.3  # factor between sizes whose names do not overlap on a logarithmic axis


@dataclass(frozen=True)
class Size:
    """A number of training images.

    Attributes:
        limit: the most images of each class; None for all.
        mean: images of a class on average, less than `limit` where classes have fewer.
    """

    limit: int | None
    mean: float

    @property
    def name(self) -> str:
        """As conditions are called."""
        return _ALL if self.limit is None else str(self.limit)


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """The evaluations of every size and repeat.

    Attributes:
        sizes: the sizes, ascending.
        results: an evaluation for each repeat, of each size.
        n_training: `(n_sizes, n_classes) float64` training images of each class, on average over
            the repeats.
        n_test: `(n_repeats, n_classes)` test images of each class.
    """

    sizes: tuple[Size, ...]
    results: tuple[tuple[EvalResult, ...], ...]
    n_training: NDArray[np.float64]
    n_test: NDArray[np.int64]

    @property
    def mean_n_test(self) -> NDArray[np.float64]:
        """Test images of each class on average over the repeats, `(n_classes,)`."""
        means: NDArray[np.float64] = self.n_test.mean(axis=0)
        return means

    def hits(self) -> NDArray[np.int64]:
        """Right top-1 answers, `(n_sizes, n_repeats, n_classes)`."""
        return np.array([[r.counts.hits[:, 0] for r in repeats] for repeats in self.results])

    def accuracies(self) -> NDArray[np.float64]:
        """Top-1 of each class, `(n_sizes, n_repeats, n_classes)`.

        NaN, in all repeats, for a class that has no test images in one of them.
        """
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: NDArray[np.float64] = self.hits() / self.n_test
        shares[..., (self.n_test == 0).any(axis=0)] = np.nan
        return shares


@dataclass(frozen=True)
class LearningCurveStudy(Study):
    """Base of the studies that train on more and more images of each class.

    Attributes:
        sizes: numbers of training images per class; those that no class reaches are left out,
            and all images are always the last.
    """

    family: ClassVar[str] = "examples"

    sizes: tuple[int, ...] = option(PAPER_SIZES, SIZES)

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: a size below 1.
            DatasetError: there are no test images.
        """
        if not len(data.rows("test")):
            raise DatasetError(
                "a study needs test images and there are none: raise "
                f"{setting('testing_percentage')}, or put photos into the test folder"
            )
        return [
            trial
            for size in self.usable_sizes(data, settings)
            for trial in repeated(settings, size.name, examples_per_class=size.limit)
        ]

    def usable_sizes(self, data: StudyData, settings: StudySettings) -> tuple[Size, ...]:
        """The sizes that differ from all images, ascending, and all images.

        Their means are over classes and repeats.

        Raises:
            ConfigError: a size below 1.
        """
        if min(self.sizes, default=1) < 1:
            raise ConfigError(f"{setting('sizes')} must be at least 1, not {min(self.sizes)}")
        available = _available(data, settings)
        smaller = [size for size in sorted(set(self.sizes)) if size < available.max()]
        counts = [*(np.minimum(available, size) for size in smaller), available]
        limits = [*smaller, None]
        return tuple(
            Size(limit, float(count.mean())) for limit, count in zip(limits, counts, strict=True)
        )

    def curve(self, data: StudyData, settings: StudySettings, groups: Groups) -> LearningCurve:
        """The evaluations, size by size."""
        sizes = self.usable_sizes(data, settings)
        available = _available(data, settings)
        limits = [available if size.limit is None else size.limit for size in sizes]
        results = tuple(tuple(results_of(groups[size.name], data)) for size in sizes)
        return LearningCurve(
            sizes,
            results,
            np.array([np.minimum(available, limit).mean(axis=0) for limit in limits]),
            np.array([result.counts.n_images for result in results[-1]]),
        )


def _available(data: StudyData, settings: StudySettings) -> NDArray[np.int64]:
    """Training images of each class in each repeat, `(n_repeats, n_classes) int64`."""
    return np.array([data.split_by(seed).n_training() for seed in settings.seeds])


def validation_note(data: StudyData, settings: StudySettings) -> list[str]:
    """That more photos than a size says take part; nothing where none do."""
    counts = [len(data.split_by(seed).data.validation) for seed in settings.seeds]
    n = round(sum(counts) / len(counts))
    if not n:
        return []
    shown = f"{n:,}" if len(set(counts)) == 1 else f"some {n:,}"
    return [
        f"a size counts training photos alone: the {shown} validation photos, which choose each "
        "head, come on top"
    ]


def size_ticks(sizes: Sequence[Size]) -> tuple[tuple[float, str], ...]:
    """Ticks of an axis of sizes; where two would overlap the larger one stays."""
    neighbours = zip(sizes, [*sizes[1:], None], strict=True)
    apart = [s for s, after in neighbours if after is None or after.mean > _APART * s.mean]
    return tuple((size.mean, size.name) for size in apart)
