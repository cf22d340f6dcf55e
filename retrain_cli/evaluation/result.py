"""Every figure of an evaluation, computed from counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.origins import ClassOrigin, Origin
from retrain_cli.evaluation.class_figures import Averages, averages, class_figures
from retrain_cli.evaluation.comparing.origin_difference import OriginDifference, origin_difference
from retrain_cli.evaluation.confusions import ConfusedPair, confused_pairs
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.intervals import Estimate, macro_estimate, share_estimate
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.evaluation.two_classes import TwoClassTable, two_class_table
from retrain_cli.notebook.frames import frame
from retrain_cli.notebook.sheets import NOT_DEFINED, Grid, sheet

if TYPE_CHECKING:
    from pandas import DataFrame

_WORST = 8
"""Classes that a notebook shows."""

HISTOGRAM_BINS: tuple[str, ...] = ("0%", *(f"{low}-{low + 10}%" for low in range(0, 100, 10)))


@dataclass(frozen=True)
class TopK:
    """Accuracy when the true class need only be among the k best; None is not defined.

    Attributes:
        k: how many classes count as an answer; not defined where that is all of them.
        overall: share of images.
        macro: mean of the per-class accuracies.
        int_macro: the same over the INT classes.
        ext_macro: the same over the EXT classes.
    """

    k: int
    overall: Estimate | None
    macro: Estimate | None
    int_macro: Estimate | None
    ext_macro: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, null where not defined."""
        parts = {
            "overall": self.overall,
            "macro": self.macro,
            "int": self.int_macro,
            "ext": self.ext_macro,
        }
        return {"k": self.k} | {name: part and part.to_dict() for name, part in parts.items()}


@dataclass(frozen=True)
class ClassResult:
    """The figures of one class.

    Attributes:
        class_name: its name.
        origin: INT, EXT, or None where the source classes are not known.
        n_images: its images in this split.
        top: its accuracy at each of the result's `ks`, top-1 being its recall; None where not
            defined.
        precision: share of right answers among those that name it; None where none does.
        f1: harmonic mean of precision and recall; None without images and answers.
        index: its place among the head's outputs.
        confused_with: the wrong class it is taken for most often; None if never.
        confused_count: how often that happens.
    """

    class_name: str
    origin: Origin | None
    n_images: int
    top: tuple[float | None, ...]
    precision: float | None
    f1: float | None
    index: int
    confused_with: str | None
    confused_count: int

    @property
    def top1(self) -> float | None:
        """Top-1 accuracy; None without images."""
        return self.top[0]


@dataclass(frozen=True)
class Histogram:
    """How many classes reach which top-1 accuracy; the bins are those of `HISTOGRAM_BINS`.

    Bin 0 is exactly 0%, bin i is above 10 (i - 1) % and up to 10 i %. Classes without images are
    left out; those of unknown origin count in `all` only.
    """

    all: tuple[int, ...]
    int_classes: tuple[int, ...]
    ext_classes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class EvalResult:
    """An evaluation.

    Attributes:
        split: what was evaluated, for display.
        n_images: number of images.
        n_classes: number of classes of the head.
        n_empty_classes: classes without an image in this split; no mean counts them.
        n_int_classes: INT classes with images.
        n_ext_classes: EXT classes with images.
        top: accuracies, for each k ascending from 1.
        classes: the classes, worst first; those without images last.
        histogram: distribution of the per-class top-1 accuracy.
        counts: what all this was computed from.
        class_names: the class names by index.
        reliability: log loss and calibration; None where only counts were at hand.
    """

    split: str
    n_images: int
    n_classes: int
    n_empty_classes: int
    n_int_classes: int
    n_ext_classes: int
    top: tuple[TopK, ...]
    classes: tuple[ClassResult, ...]
    histogram: Histogram
    counts: EvalCounts
    class_names: tuple[str, ...]
    reliability: Reliability | None = None

    @property
    def ks(self) -> tuple[int, ...]:
        """The k's that were evaluated, 1 first."""
        return self.counts.ks

    @property
    def top1(self) -> TopK:
        """Top-1 accuracy."""
        return self.top[0]

    def confusion(self) -> NDArray[np.int64]:
        """The confusion matrix, `(n_classes, n_classes) int64`: rows true, columns predicted."""
        return self.counts.confusion()

    @cached_property
    def averages(self) -> Averages:
        """Micro, macro and weighted precision, recall and F1."""
        return averages(self.counts)

    @cached_property
    def int_ext_difference(self) -> OriginDifference | None:
        """How much better INT classes do than EXT ones, classes being the unit; None as there."""
        shares = {
            origin: np.array(
                [row.top1 for row in self.classes if row.origin == origin and row.top1 is not None]
            )
            for origin in ("INT", "EXT")
        }
        return origin_difference(shares["INT"], shares["EXT"])

    def confused_pairs(self, most: int | None = None) -> tuple[ConfusedPair, ...]:
        """The most confused pairs, the most frequent first; all for None."""
        return confused_pairs(self.counts, self.class_names, most)

    def two_class_table(self, positive: str | None = None) -> TwoClassTable | None:
        """The 2x2 table; see `retrain_cli.evaluation.two_classes`."""
        return two_class_table(self.counts, self.class_names, positive)

    def to_frame(self) -> DataFrame:
        """A row for each class, the worst first, as a data frame of pandas.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        tops = [f"top{k}" for k in self.ks]
        rows = [
            [
                one.class_name,
                one.origin,
                one.n_images,
                *one.top,
                one.precision,
                one.f1,
                one.confused_with,
                one.confused_count,
            ]
            for one in self.classes
        ]
        columns = ["class", "origin", "images", *tops, "precision", "f1", "confused_with", "times"]
        return frame(columns, rows)

    def _repr_html_(self) -> str:
        return sheet(f"evaluation on {self.split}", *self.sheet_parts())

    def sheet_parts(self) -> tuple[str | Grid, ...]:
        """What a notebook shows: the accuracies with their intervals, and the worst classes."""
        columns = ["", *(name for top in self.top for name in (f"top-{top.k}", "95% CI"))]
        means = {
            "of all photos": "overall",
            "mean of the classes": "macro",
            "mean of the INT classes": "int_macro",
            "mean of the EXT classes": "ext_macro",
        }
        accuracies = [
            [title, *(part for top in self.top for part in _with_interval(getattr(top, name)))]
            for title, name in means.items()
            if any(getattr(top, name) is not None for top in self.top)
        ]
        worst = [
            [one.class_name, one.confused_with or NOT_DEFINED, one.n_images, one.top1]
            for one in self.classes[:_WORST]
        ]
        headings = ("class", "most often taken for", "photos", "top-1")
        return (
            f"{self.n_images:,} photos of {self.n_classes:,} classes",
            Grid(columns, accuracies),
            Grid(headings, worst, "The worst classes", len(self.classes), bars=True),
        )

    @classmethod
    def from_counts(
        cls,
        counts: EvalCounts,
        origins: Sequence[ClassOrigin],
        split: str = "test",
        reliability: Reliability | None = None,
    ) -> EvalResult:
        """Compute the figures.

        Args:
            counts: the counts.
            origins: one entry for each class, in the order of their index.
            split: name of what was counted.
            reliability: calibration sums of the same images.
        """
        seen = counts.n_images > 0
        is_int, is_ext = (_of_origin(origins, origin) for origin in ("INT", "EXT"))
        return cls(
            split=split,
            n_images=int(counts.n_images.sum()),
            n_classes=counts.n_classes,
            n_empty_classes=int((~seen).sum()),
            n_int_classes=int((seen & is_int).sum()),
            n_ext_classes=int((seen & is_ext).sum()),
            top=tuple(_top_k(counts, column, is_int, is_ext) for column in range(len(counts.ks))),
            classes=_class_results(counts, origins),
            histogram=_histogram(counts, is_int, is_ext),
            counts=counts,
            class_names=tuple(origin.class_name for origin in origins),
            reliability=reliability,
        )


def _with_interval(estimate: Estimate | None) -> tuple[float | None, str]:
    if estimate is None:
        return None, ""
    return estimate.value, f"{100 * estimate.low:.1f}-{estimate.high:.1%}"


def _of_origin(origins: Sequence[ClassOrigin], origin: str) -> NDArray[np.bool_]:
    return np.array([entry.origin == origin for entry in origins], bool)


def _top_k(
    counts: EvalCounts, column: int, is_int: NDArray[np.bool_], is_ext: NDArray[np.bool_]
) -> TopK:
    k, hits, n = counts.ks[column], counts.hits[:, column], counts.n_images
    if k >= counts.n_classes:
        return TopK(k, None, None, None, None)
    return TopK(
        k,
        share_estimate(int(hits.sum()), int(n.sum())),
        macro_estimate(hits, n),
        macro_estimate(hits[is_int], n[is_int]),
        macro_estimate(hits[is_ext], n[is_ext]),
    )


def _class_results(counts: EvalCounts, origins: Sequence[ClassOrigin]) -> tuple[ClassResult, ...]:
    confusions, figures = _worst_confusions(counts), class_figures(counts)
    rows = []
    for index, origin in enumerate(origins):
        n = int(counts.n_images[index])
        other, times = confusions.get(index, (None, 0))
        top = tuple(
            int(hits) / n if n and k < counts.n_classes else None
            for k, hits in zip(counts.ks, counts.hits[index], strict=True)
        )
        confused_with = None if other is None else origins[other].class_name
        precision, f1 = (_defined(values[index]) for values in (figures.precision, figures.f1))
        row = (origin.class_name, origin.origin, n, top, precision, f1, index, confused_with, times)
        rows.append(ClassResult(*row))
    return tuple(sorted(rows, key=_badness))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _badness(row: ClassResult) -> tuple[bool, float, int, str]:
    """Sorts the worst first; of equal accuracies the one on more images, which is surer."""
    accuracy = 2.0 if row.top1 is None else row.top1
    return (row.top1 is None, accuracy, -row.n_images, row.class_name)


def _worst_confusions(counts: EvalCounts) -> dict[int, tuple[int, int]]:
    """For each true class that is ever mistaken: (class it is taken for most often, how often)."""
    worst: dict[int, tuple[int, int]] = {}
    for (true, predicted), times in zip(
        counts.pairs.tolist(), counts.pair_counts.tolist(), strict=True
    ):
        if true != predicted and times > worst.get(true, (0, 0))[1]:
            worst[true] = (predicted, times)
    return worst


def _histogram(
    counts: EvalCounts, is_int: NDArray[np.bool_], is_ext: NDArray[np.bool_]
) -> Histogram:
    seen = counts.n_images > 0
    hits, n = counts.hits[:, 0], np.maximum(counts.n_images, 1)
    bins = -(-10 * hits // n)  # rounded up in whole numbers, so that 3 of 10 falls just into bin 3

    def tally(chosen: NDArray[np.bool_]) -> tuple[int, ...]:
        return tuple(np.bincount(bins[seen & chosen], minlength=len(HISTOGRAM_BINS)).tolist())

    return Histogram(tally(np.ones_like(seen)), tally(is_int), tally(is_ext))
