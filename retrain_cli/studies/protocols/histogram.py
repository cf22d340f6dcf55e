"""`study histogram`: per-class accuracy with few and with many training images, after Fig. 9."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from retrain_cli.evaluation.result import HISTOGRAM_BINS
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.learning_curve import (
    SIZES,
    LearningCurve,
    LearningCurveStudy,
    validation_note,
)
from retrain_cli.studies.means import Mean, mean_of, series_of
from retrain_cli.studies.study import Cell, Groups, StudyResult, StudySettings, StudyTable, option
from retrain_cli.studies.study_data import StudyData

_FEW_SIZES = (3, 10, 33, 100)


@dataclass(frozen=True)
class HistogramStudy(LearningCurveStudy):
    """Histograms of per-class accuracy for several numbers of training images (Fig. 9)."""

    name: ClassVar[str] = "histogram"
    figure: ClassVar[float] = 9

    sizes: tuple[int, ...] = option(_FEW_SIZES, SIZES)

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Classes in each bin, on average over the repeats."""
        curve = self.curve(data, settings, groups)
        counts = [_bins(curve, row) for row in range(len(curve.sizes))]
        names = [f"{size.name} images" for size in curve.sizes]
        rows: list[list[Cell]] = [
            [name, *(column[place] for column in counts)]
            for place, name in enumerate(HISTOGRAM_BINS)
        ]
        table = StudyTable("classes by top-1 accuracy", ("bin", *names), rows, percent=False)
        n_test = curve.mean_n_test
        seen = int((n_test > 0).sum())
        headline = f"{seen} classes, {settings.repeats_told}; mean number of classes in each bin"
        notes = (
            "a bin holds its upper bound and not its lower one; exactly 0% is a bin of its own",
            f"a class has {n_test[n_test > 0].mean():.1f} test images on average, so "
            "not every accuracy is possible for it",
            *validation_note(data, settings),
        )
        chart = Chart(
            "",
            "top-1 accuracy of the class",
            "classes",
            tuple(
                series_of(name, list(enumerate(column)))
                for name, column in zip(names, counts, strict=True)
            ),
            tuple((place, _tick(name)) for place, name in enumerate(HISTOGRAM_BINS)),
            bars=True,
            shares=False,
        )
        return StudyResult(self.name, headline, (table,), (chart,), notes)


def _bins(curve: LearningCurve, row: int) -> list[Mean]:
    """Mean number of classes in each bin."""
    tallies = zip(*(result.histogram.all for result in curve.results[row]), strict=True)
    most = float((curve.mean_n_test > 0).sum())
    means = [mean_of([float(count) for count in tally], most) for tally in tallies]
    return [mean for mean in means if mean is not None]


def _tick(name: str) -> str:
    return "0" if name == "0%" else name.removesuffix("%")
