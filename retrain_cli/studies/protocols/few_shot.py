"""`study few-shot`: classes left out and added again from a few photos, after Fig. 11.

A head is trained without the class. Then the class is added from 1, 3, 5 and 10 of its photos, with
the known classes kept as they are (see `heads.imprinting`) and, with `retrain`, also by training
all classes again. All photos of the class that no size takes measure it: none of them was seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.evaluation.comparing.added_class import KnownCost, NewClassFigures
from retrain_cli.evaluation.ranking import rank_of
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.growing import new_class_ranks, retrain_with
from retrain_cli.heads.surgery.imprinting import imprint
from retrain_cli.heads.training import train_head
from retrain_cli.reports.charts import Chart
from retrain_cli.studies.means import Mean, mean_of, series_of
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    option,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord

_KEPT, _RETRAINED = "kept", "retrained"
_FIGURES = ("new top-1", "new top-5", "known before", "known after")


@dataclass(frozen=True)
class _Case:
    """A class left out, and what is done when it comes back."""

    class_name: str
    mode: str

    @property
    def condition(self) -> str:
        return f"{self.class_name}, others {self.mode}"


@dataclass(frozen=True)
class FewShotStudy(Study):
    """A class left out, then added from a few photos: its rank, and the others' cost (Fig. 11).

    Attributes:
        left_out: how many classes are left out, one at a time; drawn at random.
        sizes: from how many photos they are added.
        retrain: also train all classes again for each size, which takes many times longer.
    """

    name: ClassVar[str] = "few-shot"
    family: ClassVar[str] = "few-shot"
    figure: ClassVar[float] = 11

    left_out: int = option(10, "Classes to leave out, one at a time.")
    sizes: tuple[int, ...] = option(
        (1, 3, 5, 10), "From how many photos they are added again, such as 1,3,5,10."
    )
    retrain: bool = option(False, "Also train all classes again each time; takes long.")

    def protocol(self) -> dict[str, Any]:
        """See `Study.protocol`."""
        return {"sizes": list(self.sizes)}

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: no class is to be left out, or a size is below 1.
            DatasetError: too few classes have enough photos.
        """
        return [
            Trial(case.condition, repeat, settings.config(repeat, classes=_others(data, case)))
            for case in self._cases(data, settings)
            for repeat in range(settings.repeats)
        ]

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train without the class, then add it from each number of photos."""
        (name,) = set(data.class_names) - set(trial.config.classes or ())
        part = data.select(trial.config)
        base = train_head(
            part.data,
            trial.config,
            on_progress=context.on_progress,
            memory_limit=context.memory_limit,
            alone=False,
        ).head
        rows = _shuffled(data, name, trial.config.seed)
        again = trial.condition == _Case(name, _RETRAINED).condition
        added = []
        for size in self.sizes:
            vectors = data.data.bottlenecks[rows[:size]]
            if again:
                head = retrain_with(
                    part.data,
                    name,
                    vectors,
                    trial.config,
                    on_progress=context.on_progress,
                    memory_limit=context.memory_limit,
                ).head
            else:
                head = imprint(base, part.data, name, vectors)
            unseen = data.data.bottlenecks[rows[max(self.sizes) :]]
            added.append(_measure(part, base, head, unseen, size))
        return {"class": name, "added": added}

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """The figures by number of photos, and each class's mean rank."""
        cases = self._cases(data, settings)
        modes = (_KEPT, _RETRAINED) if self.retrain else (_KEPT,)
        figures = {
            (mode, size): _figures(
                [groups[case.condition] for case in cases if case.mode == mode], size
            )
            for mode in modes
            for size in self.sizes
        }
        rows = [(size, mode, *figures[mode, size]) for size in self.sizes for mode in modes]
        main = StudyTable("by number of photos", ("photos", "known classes", *_FIGURES), rows)
        names = [case.class_name for case in cases if case.mode == _KEPT]
        headline = (
            f"{len(names)} classes left out and added again, one at a time, "
            f"{settings.repeats_told} with different photos"
        )
        notes = (
            "the new class is measured on all its photos that no size takes; the known classes on "
            "their test photos, with and without it",
            *_validation_note(data, settings),
        )
        tables = (main, self._ranks(groups, cases))
        return StudyResult(self.name, headline, tables, _charts(figures, modes, self), notes)

    def _cases(self, data: StudyData, settings: StudySettings) -> list[_Case]:
        if self.left_out < 1 or not self.sizes or min(self.sizes) < 1:
            raise ConfigError(
                f"study few-shot needs {setting('FewShotStudy.left_out')} and {setting('sizes')} "
                "of at least 1"
            )
        counts = np.bincount(_distinct_labels(data), minlength=len(data.class_names))
        enough = np.flatnonzero(counts > max(self.sizes))
        if len(enough) < self.left_out or len(data.class_names) < 3:
            raise DatasetError(
                f"study few-shot leaves out {self.left_out} classes of more than "
                f"{max(self.sizes)} photos, and {len(enough)} of {len(data.class_names)} classes "
                f"have so many: lower {setting('FewShotStudy.left_out')} or {setting('sizes')}"
            )
        generator = np.random.default_rng(settings.training.seed)
        chosen = np.sort(generator.choice(enough, self.left_out, replace=False)).tolist()
        modes = (_KEPT, _RETRAINED) if self.retrain else (_KEPT,)
        return [_Case(data.class_names[index], mode) for index in chosen for mode in modes]

    def _ranks(self, groups: Groups, cases: Sequence[_Case]) -> StudyTable:
        """Mean rank of each class by number of photos."""
        rows = []
        for case in cases:
            records = groups[case.condition]
            ranks = [[_new_class(one, size).mean_rank for one in records] for size in self.sizes]
            means = [mean_of(values, most=float("inf")) for values in ranks]
            rows.append((case.class_name, case.mode, *means))
        columns = ("class", "known classes", *(f"from {size}" for size in self.sizes))
        return StudyTable("mean rank of the new class", columns, rows, percent=False)


def _validation_note(data: StudyData, settings: StudySettings) -> list[str]:
    """That more photos than those of the new class take part; nothing where none do."""
    if not len(data.split_by(settings.training.seed).data.validation):
        return []
    return [
        "a number of photos counts those that the new class is made of; the known classes have all "
        "their training photos, and their validation photos, which choose each head, on top"
    ]


def _others(data: StudyData, case: _Case) -> tuple[str, ...]:
    return tuple(name for name in data.class_names if name != case.class_name)


def _distinct_rows(data: StudyData) -> NDArray[np.int64]:
    """One row for each distinct photo, so that no copy of a photo that made the class tests it."""
    return np.unique(data.images.digest, axis=0, return_index=True)[1]


def _distinct_labels(data: StudyData) -> NDArray[np.int32]:
    labels: NDArray[np.int32] = data.data.labels[_distinct_rows(data)]
    return labels


def _shuffled(data: StudyData, name: str, seed: int) -> NDArray[np.int64]:
    """Rows of a class in random order; equal seeds give equal orders."""
    rows = np.sort(_distinct_rows(data))
    own = rows[data.data.labels[rows] == data.class_names.index(name)]
    return np.random.default_rng(seed).permutation(own)


def _measure(
    part: StudyData, before: Head, after: Head, unseen: NDArray[np.float32], size: int
) -> dict[str, Any]:
    rows = part.rows("test")
    vectors, labels = part.data.bottlenecks[rows], part.data.labels[rows]
    ranks = [rank_of(head.logits(vectors), labels) for head in (before, after)]
    cost = KnownCost.between(*ranks)
    return {
        "photos": size,
        "ranks": list(new_class_ranks(after, unseen)),
        "n_classes": after.n_classes,
        "cost": cost and asdict(cost),
    }


def _added(record: TrialRecord, size: int) -> Mapping[str, Any]:
    return next(one for one in record.outcome["added"] if one["photos"] == size)


def _new_class(record: TrialRecord, size: int) -> NewClassFigures:
    added = _added(record, size)
    return NewClassFigures(tuple(added["ranks"]), added["n_classes"])


def _figures(classes: Sequence[Sequence[TrialRecord]], size: int) -> list[Mean | None]:
    """Means over the classes, one value for each repeat."""
    by_repeat = [
        [_four(record, size) for record in repeat] for repeat in zip(*classes, strict=True)
    ]
    columns = zip(*(_column_means(values) for values in by_repeat), strict=True)
    return [mean_of(list(column)) for column in columns]


def _four(record: TrialRecord, size: int) -> list[float | None]:
    figures, cost = _new_class(record, size), _added(record, size)["cost"]
    shares = [share.value if (share := figures.top(k)) else None for k in (1, 5)]
    if cost is None:
        return [*shares, None, None]
    known = KnownCost(**cost)
    return [*shares, known.top1_before, known.top1_after]


def _column_means(values: Sequence[Sequence[float | None]]) -> Iterator[float | None]:
    for column in zip(*values, strict=True):
        known = [value for value in column if value is not None]
        yield sum(known) / len(known) if known else None


def _charts(
    figures: Mapping[tuple[str, int], Sequence[Mean | None]],
    modes: Sequence[str],
    study: FewShotStudy,
) -> tuple[Chart, ...]:
    ticks = tuple((float(size), str(size)) for size in study.sizes)
    panels = {"the new class": (0, 1), "the known classes": (2, 3)}
    charts = []
    for title, columns in panels.items():
        series = []
        for mode in modes:
            for column in columns:
                points = [(float(size), figures[mode, size][column]) for size in study.sizes]
                known = [(place, mean) for place, mean in points if mean is not None]
                if known:
                    series.append(series_of(f"{_FIGURES[column]}, others {mode}", known))
        charts.append(
            Chart(title, "photos of the new class", "accuracy", tuple(series), ticks, log_x=True)
        )
    return tuple(charts)
