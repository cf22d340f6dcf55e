"""`study int-ext`: classifiers of INT and EXT classes in several mixes, after Figs. 6 and 7.

For each mix and repeat a new set of target classes is drawn at random. Within a repeat the sets of
neighbouring mixes share most of their classes, so that the curve shows the mix and not the draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from retrain_cli.checks import check_least
from retrain_cli.errors import DatasetError, setting
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.means import Mean, mean_of_estimates, series_of
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    option,
    results_of,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial

_LINES = ("average top-1", "average top-5", "INT top-1", "EXT top-1")
_PAPER_CLASSES = 100
_FEWEST_CLASSES = 2


@dataclass(frozen=True)
class Mix:
    """So many INT and so many EXT classes."""

    n_int: int
    n_ext: int

    @property
    def share(self) -> float:
        """Share of INT classes."""
        return self.n_int / (self.n_int + self.n_ext)

    @property
    def name(self) -> str:
        """As conditions are called."""
        return f"{self.n_int} INT + {self.n_ext} EXT"


@dataclass(frozen=True)
class IntExtStudy(Study):
    """Accuracy of classifiers of known (INT) and new (EXT) classes in several mixes (Figs. 6, 7).

    Each repeat draws other target classes at random. Mixes that the photos do not allow are
    named and left out.

    Attributes:
        classes: classes of each classifier; None for 100 as in the paper or, where the dataset
            has fewer INT or EXT classes, as many as all mixes allow.
        mixes: how many mixes from all EXT to all INT, at equal steps.
    """

    name: ClassVar[str] = "int-ext"
    family: ClassVar[str] = "int-ext"
    figure: ClassVar[float] = 6

    classes: int | None = option(
        None,
        "Classes of each classifier (default: 100 as in the paper, or as many as the photos "
        "allow).",
    )
    mixes: int = option(11, "How many mixes, from all EXT to all INT in equal steps.")

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            DatasetError: INT and EXT are not known, or no mix is possible.
            ConfigError: fewer than two classes or mixes.
        """
        supply = _Supply(data, self)
        return [
            Trial(mix.name, repeat, settings.config(repeat, classes=supply.draw(mix, seed)))
            for mix in supply.possible()
            for repeat in range(settings.repeats)
            for seed in [settings.training.seed + repeat]
        ]

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """The four lines of the paper's figure."""
        supply = _Supply(data, self)
        mixes = supply.possible()
        lines = [_figures(results_of(groups[mix.name], data)) for mix in mixes]
        rows = [
            (mix.share, mix.n_int, mix.n_ext, *line) for mix, line in zip(mixes, lines, strict=True)
        ]
        table = StudyTable("mixes", ("INT share", "INT", "EXT", *_LINES), rows)
        headline = (
            f"{supply.n_classes} classes a classifier, {len(mixes)} mixes, "
            f"{settings.repeats_told} with different classes"
        )
        chart = _chart(mixes, lines, supply.n_classes)
        return StudyResult(self.name, headline, (table,), (chart,), tuple(supply.notes()))


def wanted_mixes(n_classes: int, mixes: int) -> list[Mix]:
    """So many mixes from all EXT to all INT in equal steps; one class is the smallest step."""
    steps = mixes - 1
    # Rounded half up, in whole numbers.
    counts = {(2 * step * n_classes + steps) // (2 * steps) for step in range(mixes)}
    return [Mix(n_int, n_classes - n_int) for n_int in sorted(counts)]


class _Supply:
    """Which classes there are, and which mixes they allow."""

    def __init__(self, data: StudyData, study: IntExtStudy) -> None:
        self._int, self._ext = (data.classes_of(origin) for origin in ("INT", "EXT"))
        self._study = study
        check_least(study, 2, "mixes")
        check_least(study, _FEWEST_CLASSES, "classes")
        if not self._int and not self._ext:
            raise DatasetError(
                "study int-ext needs to know which classes are INT, and the source classes of "
                "this backbone are not known: run `retrain bottlenecks` with "
                f"{setting('source_classes')}"
            )

    @cached_property
    def n_classes(self) -> int:
        """Classes of each classifier.

        Raises:
            DatasetError: there are too few for any.
        """
        if self._study.classes is not None:
            return self._study.classes
        fewest = min(len(self._int), len(self._ext), _PAPER_CLASSES)
        if fewest < _FEWEST_CLASSES:
            raise DatasetError(
                "study int-ext needs at least 2 INT and 2 EXT classes for all mixes, and there "
                f"are {len(self._int)} and {len(self._ext)}: choose {setting('classes')} for the "
                f"mixes that are possible, or correct the origins with {setting('int_ext')}"
            )
        return fewest

    def possible(self) -> list[Mix]:
        """The mixes that the dataset allows, from all EXT to all INT.

        Raises:
            DatasetError: it allows none.
        """
        mixes = [mix for mix in self._wanted() if self._allows(mix)]
        if not mixes:
            raise DatasetError(
                f"a classifier of {self.n_classes} classes needs as many in the dataset, and there "
                f"are {len(self._int)} INT and {len(self._ext)} EXT: lower {setting('classes')}"
            )
        return mixes

    def notes(self) -> list[str]:
        """What the data did not allow, and what limits the intervals."""
        notes = []
        impossible = [mix for mix in self._wanted() if not self._allows(mix)]
        there = f"there are {len(self._int)} INT and {len(self._ext)} EXT classes"
        if impossible:
            names = ", ".join(f"{mix.share:.0%}" for mix in impossible)
            notes.append(f"{there}: INT shares of {names} are not possible with {self.n_classes}")
        elif self._study.classes is None and self.n_classes < _PAPER_CLASSES:
            notes.append(f"{there}: {self.n_classes} is the most that allows all mixes")
        for n_there, wanted, origin in (
            (len(self._int), max(mix.n_int for mix in self.possible()), "INT"),
            (len(self._ext), max(mix.n_ext for mix in self.possible()), "EXT"),
        ):
            if wanted == n_there:
                notes.append(
                    f"the mix with all {n_there} {origin} classes has the same ones in each "
                    "repeat, so its interval does not tell what other classes would do"
                )
        return notes

    def draw(self, mix: Mix, seed: int) -> tuple[str, ...]:
        """Target classes of a mix: the first so many of each kind, in a random order."""
        generator = np.random.default_rng([seed, 0x1E])
        chosen: list[str] = []
        for names, wanted in ((self._int, mix.n_int), (self._ext, mix.n_ext)):
            order = generator.permutation(len(names))[:wanted]
            chosen += [names[index] for index in order.tolist()]
        return tuple(sorted(chosen))

    def _wanted(self) -> list[Mix]:
        return wanted_mixes(self.n_classes, self._study.mixes)

    def _allows(self, mix: Mix) -> bool:
        return mix.n_int <= len(self._int) and mix.n_ext <= len(self._ext)


def _figures(results: Sequence[EvalResult]) -> list[Mean | None]:
    """The paper's four figures; averages are means over classes, as INT and EXT top-1 are."""
    top1, top5 = ([result.top[column] for result in results] for column in (0, 1))
    columns = (
        [top.macro for top in top1],
        [top.macro for top in top5],
        [top.int_macro for top in top1],
        [top.ext_macro for top in top1],
    )
    return [mean_of_estimates(column) for column in columns]


def _chart(mixes: list[Mix], lines: list[list[Mean | None]], n_classes: int) -> Chart:
    series = []
    for number, label in enumerate(_LINES):
        points = [(mix.share, line[number]) for mix, line in zip(mixes, lines, strict=True)]
        known = [(share, mean) for share, mean in points if mean is not None]
        if known:
            series.append(series_of(label, known))
    ticks = tuple((mix.share, f"{mix.share:.0%}") for mix in mixes)
    title = f"classifiers of {n_classes} classes"
    return Chart(title, "share of INT classes", "accuracy", tuple(series), ticks)
