"""`study examples`: accuracy against the number of training images per class, after Fig. 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from retrain_cli.checks import check_share
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.studies.learning_curve import (
    LearningCurve,
    LearningCurveStudy,
    size_ticks,
    validation_note,
)
from retrain_cli.studies.means import Mean, mean_of_estimates, series_of
from retrain_cli.studies.needs import CurveFit, Forecast, Need
from retrain_cli.studies.power_law import FEWEST_SIZES
from retrain_cli.studies.study import Groups, StudyResult, StudySettings, StudyTable, option
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial

_LINES = ("top-1", "top-5")


@dataclass(frozen=True)
class ExamplesStudy(LearningCurveStudy):
    """Accuracy against the number of training images per class (Fig. 8).

    A power law fitted to the curve tells how many more photos a wanted accuracy would take, overall
    and for each class. The fit is checked: made on the smaller sizes, it predicts the largest.

    Attributes:
        target: the wanted top-1 accuracy, between 0 and 1.
    """

    name: ClassVar[str] = "examples"
    figure: ClassVar[float] = 8

    target: float = option(0.9, "The top-1 accuracy that is wanted; says what it would take.")

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: the target is no accuracy.
        """
        check_share(self, "target")
        return super().trials(data, settings)

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """The curve, the fit, and what each class needs."""
        curve = self.curve(data, settings, groups)
        lines = [_figures(curve, row) for row in range(len(curve.sizes))]
        rows = [
            (size.name, round(size.mean, 1), *line)
            for size, line in zip(curve.sizes, lines, strict=True)
        ]
        main = StudyTable("sizes", ("images per class", "mean", *_LINES), _as_text(rows))
        headline = (
            f"{len(data.class_names)} classes, {curve.mean_n_test.sum():.0f} test images (the same "
            f"for all sizes of a repeat), {settings.repeats_told} with different "
            f"{'splits' if data.varies_test else 'training images'}"
        )
        if len(curve.sizes) < FEWEST_SIZES:
            alone = "a fit needs two sizes at least, and no class has more images than the smallest"
            notes = (alone, *validation_note(data, settings))
            return StudyResult(self.name, headline, (main,), (_chart(curve, lines, None),), notes)
        fit = CurveFit(curve, settings.training.seed)
        overall, classes = fit.mean_need(self.target), fit.class_needs(self.target)
        forecast = fit.forecast()
        names = [data.class_names[index] for index in fit.classes.tolist()]
        needs = _needs_table(overall, dict(zip(names, classes, strict=True)), self.target)
        return StudyResult(
            self.name,
            headline,
            (main, needs),
            (_chart(curve, lines, fit),),
            (*_notes(overall, forecast, self.target), *validation_note(data, settings)),
            _more_figures(fit, overall, forecast, self.target)
            | {"class_needs": {n: need.to_dict() for n, need in zip(names, classes, strict=True)}},
        )


def _figures(curve: LearningCurve, row: int) -> list[Mean | None]:
    """Top-1 and top-5, means over the classes."""
    macros = [[result.top[column].macro for result in curve.results[row]] for column in (0, 1)]
    return [mean_of_estimates(column) for column in macros]


def _as_text(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(name, f"{mean:g}", *line) for name, mean, *line in rows]


def _needs_table(overall: Need, classes: dict[str, Need], target: float) -> StudyTable:
    order = sorted(classes.items(), key=lambda item: (item[1].accuracy, item[0]))
    entries = [("mean over all classes", overall), *order]
    rows = [(name, round(need.have), need.accuracy, need.text(target)) for name, need in entries]
    columns = ("class", "images", "top-1", f"more for {target:.0%} (95% interval)")
    return StudyTable("more images needed", columns, rows)


def _notes(overall: Need, forecast: Forecast | None, target: float) -> list[str]:
    notes = []
    if overall.needed is not None and overall.needed > 10 * overall.have:
        notes.append(f"{target:.0%} lies far beyond what was measured: take it as an order of size")
    if forecast is None:
        return [*notes, "the fit was not checked: that needs two sizes below half of the largest"]
    inside = "inside" if forecast.low <= forecast.measured <= forecast.high else "outside"
    off = 100 * (forecast.predicted - forecast.measured)
    notes.append(
        "check of the fit: from the sizes below half of the largest it predicts "
        f"{forecast.predicted:.1%} ({forecast.low:.1%} to {forecast.high:.1%}) with "
        f"{forecast.images:.0f} images a class, measured were {forecast.measured:.1%}: off by "
        f"{off:+.1f} points, {inside} its interval; class by class it is off by "
        f"{100 * forecast.class_error:.1f} points on average"
    )
    return notes


def _more_figures(
    fit: CurveFit, overall: Need, forecast: Forecast | None, target: float
) -> dict[str, Any]:
    law = fit.mean_law()
    return {
        "fit": {"a": float(law.a[0]), "b": float(law.b[0]), "c": float(law.c[0])},
        "target": target,
        "overall_need": overall.to_dict(),
        "check_of_fit": forecast and forecast.to_dict(),
    }


def _chart(curve: LearningCurve, lines: list[list[Mean | None]], fit: CurveFit | None) -> Chart:
    series = []
    for number, label in enumerate(_LINES):
        points = [(s.mean, line[number]) for s, line in zip(curve.sizes, lines, strict=True)]
        known = [(place, mean) for place, mean in points if mean is not None]
        if known:
            series.append(series_of(label, known))
    if fit is not None:
        places = np.geomspace(curve.sizes[0].mean, 3 * curve.sizes[-1].mean, 60)
        fitted = (1 - fit.mean_law().errors_at(places)).tolist()
        series.append(Series("power law of top-1", places.tolist(), fitted, points=False))
    ticks = size_ticks(curve.sizes)
    return Chart("", "training images per class", "accuracy", tuple(series), ticks, log_x=True)
