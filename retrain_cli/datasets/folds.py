"""Folds for cross-validation: by content, together for duplicates and groups, even by class.

A component (see `splits.find_components`) is held out as a whole. Its own fold is where its
position on the line of the splits falls, so folds depend on neither paths nor order, and adding
photos moves few of the others: a component leaves its own fold only where a class of it has its
share there already.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import SplitItem, find_components
from retrain_cli.errors import ConfigError, DatasetError, setting

NEVER = -1  # never held out: always trained on, or given as test

_Load = tuple[int, int]  # class, number of its images


def assign_folds(items: Sequence[SplitItem], n_folds: int) -> NDArray[np.int32]:
    """Assign every item to the fold that holds it out.

    Each class is spread evenly: of n images a fold has n / n_folds, rounded up or down, as far as
    groups allow. Test images that the folder tree gives are in no fold, and the images of a class
    that came into one fold as a whole (it has one component) are never held out, for without them
    there would be no such class to train.

    Args:
        items: the images, in any order.
        n_folds: how many folds, at least 2.

    Returns:
        `(n_items,) int32` from 0 to n_folds - 1, or `NEVER`.

    Raises:
        ConfigError: fewer than two folds.
        DatasetError: a fold would be empty.
    """
    if n_folds < 2:
        raise ConfigError(
            f"{setting('cv')} needs at least 2 folds, not {n_folds}: 5 and 10 are common"
        )
    rows = np.array([row for row, item in enumerate(items) if item.given != "test"], np.int64)
    folds = np.full(len(items), NEVER, np.int32)
    if len(rows):
        most = min(n_folds, len(rows))  # more are refused below
        folds[rows] = _spread([items[row] for row in rows.tolist()], most)
    filled = len(np.unique(folds[folds != NEVER]))
    if filled < n_folds:
        raise DatasetError(
            f"each of {setting('cv', n_folds)} folds needs photos, but those that can be held out "
            f"fill only {filled}: use fewer folds or add photos"
        )
    return folds


def _spread(items: Sequence[SplitItem], n_folds: int) -> NDArray[np.int32]:
    """The fold of each item, the largest components first."""
    component, positions = find_components(items)
    labels = np.array([item.label for item in items])
    loads = _loads(labels, component)
    own = (positions * n_folds).astype(np.int64).tolist()
    sizes = [sum(count for _, count in load) for load in loads]
    ledger = _Ledger(np.bincount(labels), n_folds)
    places = np.empty(len(positions), np.int32)
    for number in sorted(range(len(loads)), key=lambda n: (-sizes[n], positions[n], n)):
        places[number] = ledger.place(loads[number], own[number])
    _keep_whole_classes(places, labels, component)
    return places[component]


def _loads(labels: NDArray[np.int64], component: NDArray[np.int64]) -> list[list[_Load]]:
    """For each component, its classes and how many of its images are of each."""
    n_classes = int(labels.max()) + 1
    pairs, counts = np.unique(component * n_classes + labels, return_counts=True)
    loads: list[list[_Load]] = [[] for _ in range(int(component.max()) + 1)]
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        number, label = divmod(pair, n_classes)
        loads[number].append((label, count))
    return loads


class _Ledger:
    """How many images of each class each fold has, and how many it should have."""

    def __init__(self, sizes: NDArray[np.int64], n_folds: int) -> None:
        self._n_folds = n_folds
        self._counts = np.zeros((len(sizes), n_folds), np.int64).tolist()
        self._least = (sizes // n_folds).tolist()
        self._most = (-(-sizes // n_folds)).tolist()

    def place(self, load: list[_Load], own: int) -> int:
        """The fold that suits best, which takes the load; its own one where others suit no better.

        Of what is more than a class's share, rounded up, a fold should get least; then of what is
        more than the share rounded down.
        """

        def misfit(fold: int) -> tuple[int, int, int]:
            above = [(label, self._counts[label][fold] + count) for label, count in load]
            over_most = sum(max(0, n - self._most[label]) for label, n in above)
            over_least = sum(max(0, n - self._least[label]) for label, n in above)
            return over_most, over_least, (fold - own) % self._n_folds

        fold = min(range(self._n_folds), key=misfit)
        for label, count in load:
            self._counts[label][fold] += count
        return fold


def _keep_whole_classes(
    places: NDArray[np.int32], labels: NDArray[np.int64], component: NDArray[np.int64]
) -> None:
    """Set components to `NEVER`, in `places`, whose class would be held out as a whole."""
    folds = places[component]
    n_classes = int(labels.max()) + 1
    first, last = np.full(n_classes, len(places)), np.full(n_classes, NEVER)
    np.minimum.at(first, labels, folds)
    np.maximum.at(last, labels, folds)
    places[component[first[labels] == last[labels]]] = NEVER


def fold_validation(
    held_out: NDArray[np.bool_],
    wanted: NDArray[np.bool_],
    labels: NDArray[np.int32],
    groups: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Which of the images that are not held out choose the head; the rest of them train it.

    Those of the validation split do, save the groups of a class that would be left without
    training images.

    Args:
        held_out: `(n_images,)`, the images of the fold, and those that take no part.
        wanted: `(n_images,)`, the images of the validation split.
        labels: `(n_images,) int32`, class of each.
        groups: `(n_images,) int64`, images of equal number stay together.
    """
    chosen = wanted & ~held_out
    trained = np.bincount(labels[~held_out & ~chosen], minlength=int(labels.max()) + 1)
    freed = groups[chosen & (trained[labels] == 0)]
    validation: NDArray[np.bool_] = chosen & ~np.isin(groups, freed)
    return validation
