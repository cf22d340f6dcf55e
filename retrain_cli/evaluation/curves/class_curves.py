"""ROC and precision-recall curves of every class against the rest, and over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import rows_of_classes
from retrain_cli.evaluation.curves.rank_counts import RankCounts, auc_interval
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.scores import AllScores

_Floats = NDArray[np.float64]
_Listener = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves of a split.

    Attributes:
        classes: one entry for each class against the rest; without positives or negatives its
            figures are None.
        micro: all pairs of image and class together, the true ones positive.
        micro_auc: area of `micro`; its interval knows that an image's pairs belong together.
        macro_auc: mean of the classes' areas, those that are not defined left out. Both intervals
            come from the sum of each image's influence on the area, as DeLong's does; None where no
            class has an area.
    """

    classes: tuple[RankCounts, ...]
    micro: RankCounts
    micro_auc: Estimate | None
    macro_auc: Estimate | None

    @property
    def macro_average_precision(self) -> float | None:
        """Mean of the classes' average precisions; None where no class has one."""
        values = [curve.average_precision for curve in self.classes]
        defined = [value for value in values if value is not None]
        return float(np.mean(defined)) if defined else None

    def macro_roc(self, n_points: int = 1001) -> tuple[_Floats, _Floats] | None:
        """Mean true positive rate of the classes at evenly spaced false positive rates.

        None where no class has a curve, as with photos of one class alone.
        """
        grid = np.linspace(0, 1, n_points)
        curves = [curve.roc() for curve in self.classes if curve.auc is not None]
        rates = [_highest_at(grid, *curve) for curve in curves]
        return (grid, np.mean(rates, axis=0)) if rates else None


def _highest_at(grid: _Floats, x: _Floats, y: _Floats) -> _Floats:
    """Interpolate a curve that may rise straight up; there its upper end counts."""
    last = np.append(np.diff(x) > 0, True)
    rates: _Floats = np.interp(grid, x[last], y[last])
    return rates


def curves_of(scores: AllScores, on_progress: _Listener = lambda done, total: None) -> Curves:
    """Count the scores of all images; memory grows with the images only.

    Args:
        scores: all scores of the images of a split.
        on_progress: told how many images of how many are counted.
    """
    counting = _Counting(scores)
    done = 0
    for piece in scores.pieces():
        counting.add(slice(done, done + len(piece)), piece)
        done += len(piece)
        on_progress(done, len(scores.labels))
    return counting.finish()


class _Counting:
    """The counts so far, and for each image the sum of what its negatives say."""

    def __init__(self, scores: AllScores) -> None:
        self._labels, self._own = scores.labels, scores.own
        self._members = rows_of_classes(scores.labels, scores.n_classes)
        self._classes = tuple(
            RankCounts.of_positives(scores.own[members]) for members in self._members
        )
        self._micro = RankCounts.of_positives(scores.own)
        self._macro_wins = np.zeros(len(self._labels))
        self._micro_wins = np.zeros(len(self._labels))

    def add(self, rows: slice, piece: NDArray[np.float32]) -> None:
        labels, n_images = self._labels[rows], len(self._labels)
        for index, (counts, members) in enumerate(zip(self._classes, self._members, strict=True)):
            negative = np.flatnonzero(labels != index)
            scores = piece[negative, index]
            places = rows.start + negative
            slots = self._micro.slots_of(scores)
            self._micro.add(slots)
            self._micro_wins[places] += self._micro.wins_of_slots[slots]
            if len(members) and len(members) < n_images:
                slots = counts.slots_of(scores)
                counts.add(slots)
                weight = 1 / (n_images - len(members))
                self._macro_wins[places] += counts.wins_of_slots[slots] * weight

    def finish(self) -> Curves:
        return Curves(self._classes, self._micro, self._micro_estimate(), self._macro_estimate())

    def _micro_estimate(self) -> Estimate | None:
        """N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", 1997."""
        area, n_images = self._micro.auc, len(self._labels)
        if area is None:
            return None
        n_negatives = self._micro.n_negatives
        share = self._micro_wins / n_negatives - area / n_images
        own = (_wins_of(self._micro, self._own) - area) / n_images
        variance = float(((share + own) ** 2).sum())
        return auc_interval(area, variance, n_images, n_images)

    def _macro_estimate(self) -> Estimate | None:
        areas = np.array([np.nan if c.auc is None else c.auc for c in self._classes])
        defined = ~np.isnan(areas)
        if not defined.any():
            return None
        n_images = len(self._labels)
        sizes = np.array([len(members) for members in self._members])
        pull = np.where(defined, np.nan_to_num(areas) / np.maximum(1, n_images - sizes), 0)
        influence = self._macro_wins - (pull.sum() - pull[self._labels])
        for counts, members in zip(self._classes, self._members, strict=True):
            if counts.auc is not None:
                # DeLong's denominator n (n - 1); a single positive shows no variance.
                scale = np.sqrt(len(members) * max(1, len(members) - 1))
                influence[members] += (_wins_of(counts, self._own[members]) - counts.auc) / scale
        area = float(areas[defined].mean())
        variance = float((influence**2).sum()) / int(defined.sum()) ** 2
        return auc_interval(area, variance, n_images, n_images)


def _wins_of(counts: RankCounts, positives: NDArray[np.float32]) -> _Floats:
    return counts.wins_of_positives[np.searchsorted(counts.thresholds, positives)]
