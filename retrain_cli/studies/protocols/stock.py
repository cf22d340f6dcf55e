"""`study stock`: what did retraining gain or cost on classes that the backbone already knew?

The backbone's own classifier, applied to the same bottlenecks, against the new head, on the test
photos of the INT classes. The two choose among different classes, so each is also compared with
the other's choice narrowed to the INT classes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.source_classes import SourceClasses
from retrain_cli.errors import DatasetError
from retrain_cli.evaluation.intervals import Estimate, macro_estimate
from retrain_cli.evaluation.ranking import rank_of
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.source_head import source_columns
from retrain_cli.paths import StrPath
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.studies.means import mean_of_estimates
from retrain_cli.studies.study import (
    Cell,
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    option,
    repeated,
    results_of,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial

_ALL, _INT_ONLY = "all classes", "INT classes only"
_KS = (1, 5)


@dataclass(frozen=True, eq=False)
class StockStudy(Study):
    """The backbone's own classifier against the new head, on classes that it already knew (INT).

    Attributes:
        head: the source head.
        source: the classes that it knows.
        top: the file that it was read from; None for the backbone's own choice.
    """

    name: ClassVar[str] = "stock"
    family: ClassVar[str] = "stock"

    head: Head
    source: SourceClasses
    top: StrPath | None = option(  # noqa: RUF009 - as every option of a study
        None,
        "Weights file of the backbone with its own classifier (default: the backbone's weights "
        "file; for imagenet weights the one that Keras publishes).",
    )

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            DatasetError: no class of the dataset is a source class.
        """
        known = tuple(data.classes_of("INT"))
        if not known:
            raise DatasetError(
                "study stock compares heads on classes that the backbone knows, and none of the "
                "classes is INT: `retrain classes --suggest` finds those of another name"
            )
        trials = repeated(settings, _ALL)
        if len(known) > 1:
            trials += repeated(settings, _INT_ONLY, classes=known)
        return trials

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Both classifiers, among all their classes and among the INT classes alone."""
        parts = [data.split_by(seed) for seed in settings.seeds]
        own = [_SourceFigures.of(self, part) for part in parts]
        among_all = results_of(groups[_ALL], data)
        rows: list[Sequence[Cell]] = [
            ("backbone's own", self.head.n_classes, *_source_row(own)),
            ("new head", len(data.class_names), *_head_row(among_all)),
        ]
        if _INT_ONLY in groups:
            count = len(data.classes_of("INT"))
            narrow = [_SourceFigures.of(self, part, narrowed=True) for part in parts]
            among_int = results_of(groups[_INT_ONLY], data)
            rows += [
                ("backbone's own, INT classes only", count, *_source_row(narrow)),
                (
                    "new head, INT classes only",
                    count,
                    *_head_row(among_int),
                ),
            ]
        main = StudyTable("INT classes", ("classifier", "choices", "top-1", "top-5"), rows)
        classes = self._classes(data, own, among_all)
        photos = np.mean([one.n.sum() for one in own])
        headline = (
            f"{len(data.classes_of('INT'))} INT classes, {photos:.0f} test photos of them, "
            f"{settings.repeats_told} of the new head"
        )
        return StudyResult(self.name, headline, (main, classes), (_chart(classes),), _NOTES)

    def _classes(
        self, data: StudyData, own: Sequence[_SourceFigures], results: Sequence[EvalResult]
    ) -> StudyTable:
        """Each INT class, those that gained most first; shares are over all repeats together."""
        n = np.sum([one.n for one in own], axis=0)
        own_hits = np.sum([one.hits[0] for one in own], axis=0)
        head_hits = np.sum([result.counts.hits[:, 0] for result in results], axis=0)
        rows = []
        for index, origin in enumerate(data.origins):
            if origin.origin != "INT" or not n[index]:
                continue
            before, after = (float(hits[index] / n[index]) for hits in (own_hits, head_hits))
            photos = round(n[index] / len(own))
            rows.append((origin.class_name, photos, before, after, after - before))
        rows.sort(key=lambda row: (-row[4], row[0]))
        return StudyTable("by class", ("class", "photos", "own", "new head", "gain"), rows)


_NOTES = (
    "the backbone's own classifier chooses among all its classes, of which several may fit a photo "
    "(a laptop is also a notebook); the rows of INT classes only have equal choices",
    "the new head was trained on photos of the same collection as the test photos; the backbone's "
    "own classifier was not",
)


@dataclass(frozen=True, eq=False)
class _SourceFigures:
    """What the backbone's own classifier reaches.

    Attributes:
        n: `(n_classes,)` test photos of each class, none for EXT classes.
        hits: for each k, `(n_classes,)` photos with a fitting class among the k best.
        n_choices: classes to choose from.
    """

    n: NDArray[np.int64]
    hits: tuple[NDArray[np.int64], ...]
    n_choices: int

    @classmethod
    def of(cls, study: StockStudy, data: StudyData, *, narrowed: bool = False) -> _SourceFigures:
        columns = source_columns(data.origins, study.source)
        rows = data.rows("test")
        rows = rows[[len(columns[label]) > 0 for label in data.data.labels[rows].tolist()]]
        labels = data.data.labels[rows]
        logits = study.head.logits(data.data.bottlenecks[rows])
        n_choices = logits.shape[1]
        if narrowed:
            logits = _only(logits, np.concatenate(columns))
            n_choices = sum(len(own) > 0 for own in columns)
        ranks = _best_ranks(logits, [columns[label] for label in labels.tolist()])
        size = len(data.class_names)
        hits = tuple(np.bincount(labels[ranks <= k], minlength=size) for k in _KS)
        return cls(np.bincount(labels, minlength=size), hits, n_choices)

    def means(self) -> list[Estimate | None]:
        """Means over the classes, as of the new head."""
        return [
            macro_estimate(hits, self.n) if k < self.n_choices else None
            for k, hits in zip(_KS, self.hits, strict=True)
        ]


def _source_row(repeats: Sequence[_SourceFigures]) -> list[Cell]:
    columns = zip(*(one.means() for one in repeats), strict=True)
    return [mean_of_estimates(column) for column in columns]


def _only(logits: NDArray[np.float32], kept: NDArray[np.int64]) -> NDArray[np.float32]:
    """Scores with all other classes out of the choice."""
    masked = np.full_like(logits, -np.inf)
    masked[:, kept] = logits[:, kept]
    return masked


def _best_ranks(
    logits: NDArray[np.float32], columns: Sequence[NDArray[np.int64]]
) -> NDArray[np.int32]:
    """Rank of the best of the classes that fit, for each photo."""
    ranks = np.empty(len(logits), np.int32)
    for row, fitting in enumerate(columns):
        best = fitting[np.argmax(logits[row, fitting])]
        ranks[row] = rank_of(logits[[row]], np.array([best]))[0]
    return ranks


def _head_row(results: Sequence[EvalResult]) -> list[Cell]:
    return [
        mean_of_estimates([result.top[place].int_macro for result in results]) for place in (0, 1)
    ]


def _chart(classes: StudyTable) -> Chart:
    """A point for each class, numbered as in the table: names would not fit side by side."""
    places = [float(place) for place in range(1, len(classes.rows) + 1)]
    series = tuple(
        Series(label, places, [float(row[column]) for row in classes.rows])  # type: ignore[arg-type]
        for label, column in (("backbone's own", 2), ("new head", 3))
    )
    ticks = tuple((place, f"{place:.0f}") for place in places if place == 1 or not place % 5)
    return Chart("INT classes", "number of the class in the table", "top-1", series, ticks)
