"""`study backbones`: the same photos and splits, the same head, one backbone after another.

Brodzicki and others compare VGG19, ResNet50, Xception and DenseNet121 on cells, by accuracy,
sensitivity and specificity ("Transfer Learning Methods as a New Approach in Computer Vision Tasks
with Small Datasets"). Here it is every backbone whose weights are at hand, with its speed, and the
Pareto front: those that no other one beats in accuracy and speed at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.evaluation.curves.class_curves import curves_of
from retrain_cli.evaluation.predictions import predict
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.evaluation.scores import saved_scores
from retrain_cli.heads.training import train_head
from retrain_cli.reports.charts import Chart, Series
from retrain_cli.studies.head_trial import HeadOutcome
from retrain_cli.studies.means import Mean, mean_of, mean_of_estimates
from retrain_cli.studies.study import (
    Groups,
    Study,
    StudyResult,
    StudySettings,
    StudyTable,
    option,
    repeated,
)
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext, TrialRecord

_SPEED = "speed of "
_DECADE = 10.0
"""From this ratio of speeds on, the axis of the figure is logarithmic."""


class Contestant(NamedTuple):
    """A backbone that is compared.

    Attributes:
        name: what it is called in tables; no other one has the same.
        spec: what it is.
        parameters: numbers in its weights; None where nobody knows.
    """

    name: str
    spec: BackboneSpec
    parameters: int | None = None


@dataclass(frozen=True)
class ContestVectors:
    """Where vectors and speeds of the contestants come from.

    Attributes:
        load: the photos' vectors of a backbone.
        speed: images a second of its forward pass.
    """

    load: Callable[[BackboneSpec], StudyData]
    speed: Callable[[BackboneSpec], float]


@dataclass(frozen=True)
class BackbonesStudy(Study):
    """Every backbone whose weights are at hand, on the same photos and splits.

    Accuracy, and the area under the ROC curve; with two classes sensitivity and specificity, too;
    speed, size, time to train, and which backbones no other one beats in accuracy and speed at
    once. Bottlenecks that are missing are computed first.

    Attributes:
        contestants: the backbones.
        backbones: names of the only ones to compare; () for all that are at hand.
        positive: of two classes the one that sensitivity is of; None for the second by name.
        vectors: where their vectors come from; None before the study is run.
    """

    name: ClassVar[str] = "backbones"
    family: ClassVar[str] = "backbones"
    most_workers: ClassVar[int | None] = 1
    is_of_one_backbone: ClassVar[bool] = False

    contestants: tuple[Contestant, ...]
    backbones: tuple[str, ...] = option(
        (), "Compare these alone, such as efficientnet_lite0,mobilenet_v2 (default: all at hand)."
    )
    positive: str | None = option(
        None, "Of two classes the one that sensitivity is of (default: the second by name)."
    )
    vectors: ContestVectors | None = field(default=None, compare=False)

    @property
    def compares(self) -> tuple[BackboneSpec, ...]:
        """See `Study.compares`."""
        return tuple(one.spec for one in self.contestants)

    def with_vectors(self, vectors: ContestVectors) -> BackbonesStudy:
        """See `Study.with_vectors`."""
        return replace(self, vectors=vectors)

    def trials(self, data: StudyData, settings: StudySettings) -> list[Trial]:
        """See `Study.trials`.

        Raises:
            ConfigError: a positive class that is none of two.
            DatasetError: there are no test images.
        """
        if not len(data.rows("test")):
            raise DatasetError(
                "a study needs test images and there are none: raise "
                f"{setting('testing_percentage')}, or put photos into the test folder"
            )
        if self.positive is not None and (
            data.data.n_classes != 2 or self.positive not in data.class_names
        ):
            names = ", ".join(data.class_names[:5])
            raise ConfigError(
                f"{setting('positive')} is one of two classes; received {self.positive!r}, and "
                f"there are {data.data.n_classes} ({names}{', ...' * (data.data.n_classes > 5)}): "
                "leave it out"
            )
        found = []
        for one in self.contestants:
            found += repeated(settings, one.name)
            found.append(Trial(_SPEED + one.name, 0, settings.config(0)))
        return found

    def perform(self, data: StudyData, trial: Trial, context: TrialContext) -> Mapping[str, Any]:
        """Train a head on the vectors of its backbone; or measure how fast that is."""
        assert self.vectors is not None
        named = {one.name: one.spec for one in self.contestants}
        if trial.condition.startswith(_SPEED):
            speed = self.vectors.speed(named[trial.condition.removeprefix(_SPEED)])
            return {"images_per_second": speed}
        part = self.vectors.load(named[trial.condition]).select(trial.config)
        started = time.perf_counter()
        trained = train_head(
            part.data,
            trial.config,
            on_progress=context.on_progress,
            memory_limit=context.memory_limit,
        )
        seconds = time.perf_counter() - started
        images = part.test_images()
        predictions = predict(trained.head, part.data.bottlenecks[part.rows("test")], images)
        rows = predictions.rows("test")
        scores = saved_scores(predictions, rows)
        area = None if scores is None else curves_of(scores).macro_auc
        return HeadOutcome.of(part, trained).to_dict() | {
            "training_seconds": seconds,
            "width": part.data.bottlenecks.shape[1],
            "auc": None if area is None else area.value,
        }

    def result(self, data: StudyData, settings: StudySettings, groups: Groups) -> StudyResult:
        """Accuracy, cost, and the Pareto front."""
        rows = [self._row(one, groups, data) for one in self.contestants]
        rows.sort(key=lambda row: -row.top1.value)
        front = pareto_front([(row.speed, row.top1.value) for row in rows])
        two = data.data.n_classes == 2
        best = [row.name for row, on_front in zip(rows, front, strict=True) if on_front]
        headline = (
            f"{len(rows)} backbones, {settings.training.optimizer} heads, "
            f"{settings.repeats_told} with the same splits for all"
        )
        notes = [
            "img/s: the forward pass alone, measured in this run on this machine, one backbone "
            "after another; training s: of one head",
            f"on the Pareto front, which nothing beats in accuracy and speed at once: "
            f"{', '.join(best)}; means decide, and intervals may overlap",
        ]
        if two:
            positive = self.positive or data.class_names[-1]  # as in `eval`
            notes.append(f"sensitivity is of {positive}")
        return StudyResult(
            self.name,
            headline,
            (_accuracy_table(rows, two=two), _cost_table(rows, front)),
            (_chart(rows, front),),
            tuple(notes),
            {"front": best},
        )

    def _row(self, one: Contestant, groups: Groups, data: StudyData) -> _Row:
        records = groups[one.name]
        outcomes = [record.outcome for record in records]
        results = [HeadOutcome.from_dict(outcome).result(data) for outcome in outcomes]
        top1 = mean_of_estimates([result.top1.macro for result in results])
        assert top1 is not None, "there are test images"
        found, left = self._two_classes(results, data)
        return _Row(
            one.name,
            one.parameters,
            outcomes[0]["width"],
            _speed(groups[_SPEED + one.name]),
            mean_of([outcome["training_seconds"] for outcome in outcomes], most=float("inf")),
            top1,
            mean_of([outcome["auc"] for outcome in outcomes]),
            found,
            left,
        )

    def _two_classes(
        self, results: Sequence[EvalResult], data: StudyData
    ) -> tuple[Mean | None, Mean | None]:
        if data.data.n_classes != 2:
            return None, None
        tables = [result.two_class_table(self.positive) for result in results]
        known = [table for table in tables if table is not None]
        return (
            mean_of_estimates([table.sensitivity for table in known]),
            mean_of_estimates([table.specificity for table in known]),
        )


class _Row(NamedTuple):
    """What is told of a contestant."""

    name: str
    parameters: int | None
    width: int
    speed: float
    seconds: Mean | None
    top1: Mean
    auc: Mean | None
    found: Mean | None
    left: Mean | None


def _accuracy_table(rows: Sequence[_Row], *, two: bool) -> StudyTable:
    columns = ("backbone", "top-1", "AUC", *(("sensitivity", "specificity") if two else ()))
    cells = [(row.name, row.top1, row.auc, *((row.found, row.left) if two else ())) for row in rows]
    return StudyTable("backbones", columns, cells)


def _cost_table(rows: Sequence[_Row], front: Sequence[bool]) -> StudyTable:
    columns = ("backbone", "img/s", "numbers", "parameters", "training s", "front")
    cells = [
        (row.name, row.speed, row.width, row.parameters, row.seconds, "yes" if on_front else "")
        for row, on_front in zip(rows, front, strict=True)
    ]
    return StudyTable("cost", columns, cells, percent=False)


def _speed(records: Sequence[TrialRecord]) -> float:
    return float(records[0].outcome["images_per_second"])


def pareto_front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Which points no other one beats: at least as good in both, and better in one.

    Args:
        points: two figures each; more is better.
    """
    return [
        not any(other[0] >= one[0] and other[1] >= one[1] and other != one for other in points)
        for one in points
    ]


def _chart(rows: Sequence[_Row], front: Sequence[bool]) -> Chart:
    """A point for each backbone, and a line along the front."""
    best = sorted(
        (row.speed, row.top1.value) for row, on_front in zip(rows, front, strict=True) if on_front
    )
    line = Series("Pareto front", [x for x, _ in best], [y for _, y in best], points=False)
    points = [
        Series(
            row.name,
            [row.speed],
            [row.top1.value],
            [row.top1.low] if row.top1.low is not None else (),
            [row.top1.high] if row.top1.high is not None else (),
            joined=False,
        )
        for row in rows
    ]
    speeds = [row.speed for row in rows]
    wide = max(speeds) > _DECADE * min(speeds)
    label = "images a second, forward pass"
    return Chart("", label, "top-1 accuracy", (line, *points), log_x=wide)
