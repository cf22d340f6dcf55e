"""Precision, recall and F1 of each class and their averages, from counts.

Classes without images in the split are left out of the macro averages, as everywhere. A class with
images that is never predicted has no precision; in averages it counts as 0 (scikit-learn's
`zero_division=0`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.intervals import Estimate, Z, macro_estimate, share_estimate

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """Figures of each class, each `(n_classes,) float64` from 0 to 1.

    Attributes:
        precision: share of right answers among those that name the class; NaN where none does.
        recall: share of the class's images that are named so; NaN without images.
        f1: harmonic mean of the two, `2 tp / (2 tp + fp + fn)`; NaN where all three are 0.
    """

    precision: _Floats
    recall: _Floats
    f1: _Floats


@dataclass(frozen=True)
class Average:
    """Averages over classes with 95% intervals; None without images."""

    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, null where not defined."""
        return {name: part and part.to_dict() for name, part in vars(self).items()}


@dataclass(frozen=True)
class Averages:
    """The three usual averages.

    Attributes:
        micro: over all answers; with one label an image all three figures are the accuracy.
        macro: mean over the classes that have images.
        weighted: the same, weighted by their number of images; its recall is the accuracy.
    """

    micro: Average
    macro: Average
    weighted: Average

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: average.to_dict() for name, average in vars(self).items()}


def class_figures(counts: EvalCounts) -> ClassFigures:
    """Precision, recall and F1 of each class."""
    right, named, n = _tallies(counts.pairs, counts.n_classes, counts.pair_counts[None, :])
    with np.errstate(invalid="ignore"):
        return ClassFigures((right / named)[0], (right / n)[0], (2 * right / (named + n))[0])


def averages(counts: EvalCounts) -> Averages:
    """Micro, macro and weighted averages.

    Shares of images have Wilson's interval and macro recall that of `macro_estimate`; the others
    have no closed form and get that of 1,000 bootstrap resamples of the images: see
    `resampled_estimate`. Where all images are right, or none is, every resample is so too, and the
    closed forms stand in.
    """
    hits, n = counts.hits[:, 0], counts.n_images
    accuracy = share_estimate(int(hits.sum()), int(n.sum()))
    if accuracy is None:
        nothing = Average(None, None, None)
        return Averages(nothing, nothing, nothing)
    recall = macro_estimate(hits, n)
    if accuracy.value in (0, 1):
        macro = Average(recall, recall, recall)
        return Averages(_same(accuracy), macro, _same(accuracy))
    # Classes that do not occur cost nothing then, however many there are.
    present, pairs = np.unique(counts.pairs, return_inverse=True)
    pairs = pairs.reshape(counts.pairs.shape)

    def means(pair_counts: _Ints) -> _Floats:
        return _four_means(*_tallies(pairs, len(present), pair_counts))

    value = means(counts.pair_counts[None, :])[0]
    spread = np.concatenate([means(sample) for sample in resampled_counts(counts.pair_counts)])
    made = [resampled_estimate(float(value[i]), spread[:, i]) for i in range(4)]
    return Averages(
        _same(accuracy), Average(made[0], recall, made[1]), Average(made[2], accuracy, made[3])
    )


def _same(estimate: Estimate) -> Average:
    return Average(estimate, estimate, estimate)


def _tallies(
    pairs: NDArray[np.integer], n_classes: int, pair_counts: _Ints
) -> tuple[_Ints, _Ints, _Ints]:
    """Right answers, answers and images of each class, `(n_samples, n_classes)` each."""
    true, predicted = pairs.T
    right = np.where(true == predicted, pair_counts, 0)
    return (
        _sums_by(true, right, n_classes),
        _sums_by(predicted, pair_counts, n_classes),
        _sums_by(true, pair_counts, n_classes),
    )


def _sums_by(keys: NDArray[np.integer], values: _Ints, n_keys: int) -> _Ints:
    """Sums over the columns of equal key, `(n_samples, n_keys)`."""
    sums = np.zeros((len(values), n_keys), np.int64)
    if len(keys):
        order = np.argsort(keys, kind="stable")
        present, starts = np.unique(keys[order], return_index=True)
        sums[:, present] = np.add.reduceat(values[:, order], starts, axis=1)
    return sums


def _four_means(right: _Ints, named: _Ints, n: _Ints) -> _Floats:
    """Macro precision and F1, weighted precision and F1, `(n_samples, 4)`."""
    precision = right / np.maximum(named, 1)
    f1 = 2 * right / np.maximum(named + n, 1)
    columns = []
    for weights in ((n > 0).astype(np.float64), n.astype(np.float64)):
        total = weights.sum(axis=1)
        columns += [(figure * weights).sum(axis=1) / total for figure in (precision, f1)]
    return np.stack(columns, axis=1)


N_RESAMPLES = 1000

_CHUNK_VALUES = 2_000_000
_SEED = 0xB007


def resampled_counts(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Counts of 1,000 resamples, some at a time so that memory stays small.

    Args:
        counts: `(n_kinds,)`, how many images are of each kind; at least one in all.

    Yields:
        `(n_samples, n_kinds) int64`; the rows of all pieces are 1,000.
    """
    generator = np.random.default_rng(_SEED)
    total = int(counts.sum())
    size = max(1, _CHUNK_VALUES // len(counts))
    for start in range(0, N_RESAMPLES, size):
        rows = min(size, N_RESAMPLES - start)
        yield generator.multinomial(total, counts / total, rows)


_WIDER = 1.06  # as simulations with one to sixty images a class ask for (docs/intervals.md)


def resampled_estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    """A share with the 95% interval that its resamples tell.

    Their percentiles are too sure of precision: a class that few images are taken for seems more
    precise than it is, and its resamples even more so (weighted precision: 77% to 85% of intervals
    held the truth). So the spread of the resamples is measured as an angle, `arcsin(sqrt(share))`,
    on which it is the same everywhere, and laid around the value and around the value without the
    bias that resampling showed; the interval holds both.

    Args:
        value: from 0 to 1.
        resampled: `(n_resamples,)`.
    """
    angle, angles = np.arcsin(np.sqrt(value)), np.arcsin(np.sqrt(np.clip(resampled, 0, 1)))
    half = _WIDER * Z * float(angles.std())
    unbiased = 2 * angle - float(angles.mean())
    ends = np.clip([min(angle, unbiased) - half, max(angle, unbiased) + half], 0, np.pi / 2)
    low, high = (np.sin(ends) ** 2).tolist()
    return Estimate(value, min(value, low), max(value, high))
