"""What a report shows: one small dataclass for each section, in the order of the page.

A section that cannot be shown is None, and `Report.missing` says why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from retrain_cli.evaluation.result import EvalResult

MOST_LISTED_CLASSES = 2_000
"""Up to here a page has a row for each class; more would be slow to open, and over 10 MB."""
LISTED_WORST, LISTED_BEST = 1_000, 200
"""So many rows it has of more classes."""
_MOST_SEARCHED_BYTES = 5_000_000


@dataclass(frozen=True)
class ReportPhoto:
    """A photo of the data set.

    Attributes:
        path: where it is, or was, relative to the image folder.
        class_name: its class.
        source: the thumbnail as a `data:` address; None where there is none.
        problem: why there is no thumbnail; None where there is one.
        note: what else is to say, such as where it was moved to.
        similarity: cosine of its bottleneck to the one it was looked up for, or None.
    """

    path: str
    class_name: str
    source: str | None
    problem: str | None = None
    note: str = ""
    similarity: float | None = None


@dataclass(frozen=True)
class HeatImage:
    """A photo under a heatmap.

    Attributes:
        label: the class that it is of.
        score: probability of that class.
        source: the picture as a `data:` address.
    """

    label: str
    score: float
    source: str


@dataclass(frozen=True)
class Mistake:
    """A misclassified photo.

    Attributes:
        photo: the photo, with its true class.
        predicted: the class it was taken for.
        score: probability of that class.
        nearest: the training photos with the nearest bottlenecks, the nearest first.
        heats: where the predicted and the true class are seen; empty where that is not shown.
    """

    photo: ReportPhoto
    predicted: str
    score: float
    nearest: tuple[ReportPhoto, ...]
    heats: tuple[HeatImage, ...] = ()


@dataclass(frozen=True)
class PairPhoto:
    """A photo that was answered rightly, and where both classes of a pair are seen on it."""

    photo: ReportPhoto
    heats: tuple[HeatImage, ...]


@dataclass(frozen=True)
class ExplainedPair:
    """Two classes that are confused.

    Attributes:
        true: the class.
        predicted: what it is taken for.
        photos: of the class, answered rightly.
    """

    true: str
    predicted: str
    photos: tuple[PairPhoto, ...]


@dataclass(frozen=True)
class MeanHeat:
    """The mean heatmap of a class.

    Attributes:
        name: the class.
        n_photos: photos that it is the mean of.
        source: the picture as a `data:` address.
        at_the_border: share of what speaks for the class in the outermost fields, 0 to 1.
        lies_at_the_border: whether that is far more than elsewhere.
    """

    name: str
    n_photos: int
    source: str
    at_the_border: float
    lies_at_the_border: bool


@dataclass(frozen=True)
class HeatSection:
    """Where the run looks.

    Attributes:
        pairs: the pairs of classes that are confused most.
        classes: the mean of each class, those first that lie at the border most.
        n_classes: how many classes there are in all.
    """

    pairs: tuple[ExplainedPair, ...]
    classes: tuple[MeanHeat, ...]
    n_classes: int


@dataclass(frozen=True)
class PhotoMap:
    """Bottlenecks in two dimensions.

    Attributes:
        method: how, in words.
        n_images: how many there are in all; the points are a fair draw of them.
        x: horizontal place of each point.
        y: vertical place of each point.
        labels: true class of each, by index.
        predicted: class it was taken for.
        splits: its split, as an index into training, validation, test.
        paths: its path.
    """

    method: str
    n_images: int
    x: Sequence[float]
    y: Sequence[float]
    labels: Sequence[int]
    predicted: Sequence[int]
    splits: Sequence[int]
    paths: Sequence[str]


@dataclass(frozen=True)
class Polyline:
    """A line to draw, from left to right."""

    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class ClassCurves:
    """Curves of one class against the rest, or of an average.

    Attributes:
        name: the class, or the average.
        auc: area under the ROC curve.
        average_precision: of the precision-recall curve; None where there is no such curve.
        roc: false against true positive rate.
        precision_recall: recall against precision.
    """

    name: str
    auc: float | None
    average_precision: float | None
    roc: Polyline
    precision_recall: Polyline | None


@dataclass(frozen=True)
class CurveSection:
    """The averages, and the classes that are worst."""

    averages: tuple[ClassCurves, ...]
    classes: tuple[ClassCurves, ...]
    n_classes: int


@dataclass(frozen=True)
class DataProblem:
    """Something that is wrong with the data.

    Attributes:
        title: what, in a few words with a number.
        advice: what to do.
        items: the first of the photos or classes that are concerned.
        count: how many they are in all.
    """

    title: str
    advice: str
    items: tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Settings:
    """A titled list of names and values."""

    title: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Command:
    """A command to type, ready for a shell, and what it is for."""

    text: str
    purpose: str


@dataclass(frozen=True, eq=False)
class Report:
    """Everything that a report shows.

    Attributes:
        run: name of the run.
        created: when the run was made, as text.
        data_folder: the image folder.
        backbone: the backbone, in words.
        result: the figures of the evaluated split.
        evaluation: the same as `retrain eval --json` prints them.
        cross_validation: figures over folds as JSON values, or None.
        history: evaluations during training, as the rows of history.csv.
        best_step: the step that the head comes from.
        curves: ROC and precision-recall curves.
        mistakes: the worst mistakes.
        n_mistakes: how many mistakes there are in all.
        photo_map: the bottlenecks in two dimensions.
        heatmaps: where the run looks; None where that is not shown.
        problems: what is wrong with the data; None where that cannot be told.
        settings: configuration and versions.
        commands: how to make all this again.
        missing: for each section that is None, why.
    """

    run: str
    created: str
    data_folder: str
    backbone: str
    result: EvalResult
    evaluation: Mapping[str, Any]
    cross_validation: Mapping[str, Any] | None
    history: Sequence[Mapping[str, Any]]
    best_step: int
    curves: CurveSection | None
    mistakes: tuple[Mistake, ...]
    n_mistakes: int
    photo_map: PhotoMap | None
    problems: tuple[DataProblem, ...] | None
    settings: tuple[Settings, ...]
    commands: tuple[Command, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    heatmaps: HeatSection | None = None

    @property
    def shortened(self) -> bool:
        """Whether there are more classes than a page can list."""
        return self.result.n_classes > MOST_LISTED_CLASSES

    @cached_property
    def listed_classes(self) -> Sequence[Mapping[str, Any]]:
        """Rows of the table of classes, as JSON values: all or, of very many, both ends of them."""
        rows: Sequence[Mapping[str, Any]] = self.evaluation["per_class"]
        if not self.shortened:
            return rows
        measured = self.result.n_classes - self.result.n_empty_classes
        best = max(LISTED_WORST, measured - LISTED_BEST)
        return [*rows[:LISTED_WORST], *rows[best : best + LISTED_BEST]]

    @cached_property
    def other_classes(self) -> Sequence[tuple[str, str | None, int, float | None, float | None]]:
        """Name, INT or EXT, photos, top-1 and top-5 of the other classes, for the search.

        The worst first, as many of them as 5 MB hold.
        """
        listed = {row["class"] for row in self.listed_classes}
        found, room = [], _MOST_SEARCHED_BYTES
        for row in self.evaluation["per_class"]:
            if row["class"] in listed:
                continue
            figures = (_short(row["top1"]), _short(row["top5"]))
            one = (row["class"], row["origin"], row["images"], *figures)
            room -= len(json.dumps(one, separators=(",", ":"))) + 1
            if room < 0:
                break
            found.append(one)
        return found

    @cached_property
    def map_classes(self) -> Mapping[int, str]:
        """Names of the classes that the charts may name, by their index."""
        names = self.result.class_names
        if not self.shortened:
            return dict(enumerate(names))
        points = self.photo_map
        used = {*points.labels, *points.predicted} if points else set()
        return {index: names[index] for index in sorted(used)}

    def data(self) -> dict[str, Any]:
        """What the page's charts and its search are made from, as JSON values."""
        counts = self.result.counts
        evaluation, confusion = dict(self.evaluation), []
        if self.shortened:
            del evaluation["per_class"], evaluation["confused_pairs"]
        else:
            pairs = zip(counts.pairs.tolist(), counts.pair_counts.tolist(), strict=True)
            confusion = [[*pair, count] for pair, count in pairs]
        return {
            "run": self.run,
            "n_classes": self.result.n_classes,
            "class_names": self.map_classes,
            "other_classes": self.other_classes,
            "most_confused": [pair.true for pair in self.result.confused_pairs(3)],
            "evaluation": evaluation,
            "cross_validation": self.cross_validation,
            "confusion": confusion,
            "history": [dict(row) for row in self.history],
            "best_step": self.best_step,
            "curves": self.curves and asdict(self.curves),
            "map": self.photo_map and asdict(self.photo_map),
        }


def _short(share: float | None) -> float | None:
    return None if share is None else round(share, 3)
