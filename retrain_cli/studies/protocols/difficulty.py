"""`study difficulty`: which classes are learnt from few images, and which are not, after Fig. 10.

The normalised accuracy of a class is its top-1 accuracy over the highest that it reaches at any
size. How much of it a class has with few images says how difficult it is to learn; how high the
highest is does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, setting
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.learning_curve import (
    LearningCurve,
    LearningCurveStudy,
    size_ticks,
    validation_note,
)
from retrain_cli.studies.means import Mean, mean_of, series_of
from retrain_cli.studies.study import Groups, StudyResult, StudySettings, StudyTable, option
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial

GROUPS = ("easy", "moderate", "difficult")


@dataclass(frozen=True)
class DifficultyStudy(LearningCurveStudy):
    """Classes that are easy, moderate or difficult to learn from few images (Fig. 10).

    Attributes:
        few: number of training images per class that counts as few; the smallest size if None.
        easy: normalised accuracy with few images from which a class is easy.
        difficult: normalised accuracy below which it is difficult.
    """

    name: ClassVar[str] = "difficulty"
    figure: ClassVar[float] = 10

    few: int | None = option(None, "The size that counts as few (default: the smallest).")
    easy: float = option(0.9, "Easy: at least this share of its best accuracy with few images.")
    difficult: float = option(0.7, "Difficult: less than this share.")

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: bounds that are none, or a `few` that is not among the sizes.
        """
        if not 0 < self.difficult <= self.easy <= 1:
            raise ConfigError(
                f"{setting('difficult')} and {setting('easy')} must be above 0, at most 1, and in "
                f"this order; received {self.difficult:g} and {self.easy:g}"
            )
        sizes = self.usable_sizes(data, settings)
        if self.few is not None and self.few not in [size.limit for size in sizes]:
            names = ", ".join(size.name for size in sizes[:-1])
            raise ConfigError(
                f"{setting('few')} must be one of the sizes ({names}), not {self.few}"
            )
        return super().trials(data, settings)

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """The curve of each group, and its classes."""
        curve = self.curve(data, settings, groups)
        few = next(
            (row for row, size in enumerate(curve.sizes) if size.limit == self.few is not None), 0
        )
        normalised = _normalise(curve)
        share = normalised[few].mean(axis=0)
        group = np.select([share >= self.easy, share < self.difficult], [0, 2], 1)
        group[np.isnan(share)] = -1  # no test image, or never right
        lines = [_lines(normalised[..., group == code]) for code in range(len(GROUPS))]
        columns = ("group", "classes", *(f"{size.name} images" for size in curve.sizes))
        rows = [
            (name, int((group == code).sum()), *lines[code]) for code, name in enumerate(GROUPS)
        ]
        tables = (
            StudyTable("normalised accuracy", columns, rows),
            _class_table(data, curve, few, share, group),
        )
        name = curve.sizes[few].name
        headline = (
            f"easy: at least {self.easy:.0%} of a class's best accuracy with {name} images; "
            f"difficult: below {self.difficult:.0%}; {settings.repeats_told}"
        )
        return StudyResult(
            self.name,
            headline,
            tables,
            (_chart(curve, lines, group),),
            (*_notes(group, curve), *validation_note(data, settings)),
        )


def _normalise(curve: LearningCurve) -> NDArray[np.float64]:
    """Normalised accuracies, `(n_sizes, n_repeats, n_classes)`; NaN for a class never right.

    The highest accuracy is that of the means over the repeats: the highest of single trials would
    be luck.
    """
    shares = curve.accuracies()
    best = shares.mean(axis=1).max(axis=0)
    normalised: NDArray[np.float64] = np.full_like(shares, np.nan)
    known = best > 0  # false for NaN too
    normalised[..., known] = shares[..., known] / best[known]
    return normalised


def _lines(normalised: NDArray[np.float64]) -> list[Mean | None]:
    """Mean over the classes of a group, for each size; None for a group without classes."""
    if not normalised.shape[2]:
        return [None] * len(normalised)
    # A single trial may lie above the mean of the best size, so 1 is no bound here.
    return [mean_of(row.mean(axis=1).tolist(), np.inf) for row in normalised]


def _class_table(
    data: StudyData,
    curve: LearningCurve,
    few: int,
    share: NDArray[np.float64],
    group: NDArray[np.int64],
) -> StudyTable:
    means = curve.accuracies().mean(axis=1)
    order = [index for index in np.argsort(share).tolist() if group[index] >= 0]
    rows = [
        (
            GROUPS[group[index]],
            data.class_names[index],
            data.origins[index].origin or "n/a",
            float(means[few, index]),
            float(means[:, index].max()),
            float(share[index]),
        )
        for index in order
    ]
    size = curve.sizes[few].name
    columns = ("group", "class", "INT/EXT", f"top-1 with {size}", "best top-1", "normalised")
    return StudyTable("classes", columns, rows)


def _notes(group: NDArray[np.int64], curve: LearningCurve) -> list[str]:
    notes = [
        "groups are made from the same test images that the curves are measured on, so the curves "
        "of the groups lie a little too far apart; a class has "
        f"{curve.mean_n_test.mean():.1f} test images on average"
    ]
    if (group < 0).any():
        notes.append(f"{int((group < 0).sum())} class(es) without a right answer are in no group")
    return notes


def _chart(curve: LearningCurve, lines: list[list[Mean | None]], group: NDArray[np.int64]) -> Chart:
    series = []
    for code, name in enumerate(GROUPS):
        points = [(size.mean, mean) for size, mean in zip(curve.sizes, lines[code], strict=True)]
        known = [(place, mean) for place, mean in points if mean is not None]
        if known:
            series.append(series_of(f"{name} ({int((group == code).sum())})", known))
    return Chart(
        "",
        "training images per class",
        "normalised top-1 accuracy",
        tuple(series),
        size_ticks(curve.sizes),
        log_x=True,
    )
