"""Which photos are source and which target, and which of the target are kept for the test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.class_names import listed
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.similarity.class_trees import (
    ClassTree,
    Clustering,
    TreeNode,
    distance_of_means,
    grow_tree,
    majority,
    mean_distance,
)

Rows = NDArray[np.int64]
_SOURCE, _TARGET = 0, 1


@dataclass(frozen=True, eq=False)
class PhotoPool:
    """The photos that take part.

    Attributes:
        vectors: `(n, width) float32` bottlenecks of the whole dataset.
        labels: `(n,) int32` index into `class_names`; -1 where a photo takes no part.
        class_names: the classes.
        groups: `(n,) int64`, photos of equal number are not torn apart; None where each is alone.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.int32]
    class_names: tuple[str, ...]
    groups: NDArray[np.int64] | None

    def rows_of(self, label: int) -> Rows:
        """The photos of a class, ascending."""
        return np.flatnonzero(self.labels == label)

    def grow_trees(self, how: Clustering, room: int | None = None) -> list[ClassTree]:
        """The tree of each class.

        Raises:
            ConfigError: linkage and metric do not go together.
            DatasetError: one class only, or a class that cannot be cut in two.
        """
        how.validate()
        if len(self.class_names) < 2:
            raise DatasetError(
                "source and target each need photos of at least two classes, and there is "
                f"{len(self.class_names)}: add a folder of another class"
            )
        trees = []
        for label, name in enumerate(self.class_names):
            rows = self.rows_of(label)
            groups = None if self.groups is None else self.groups[rows]
            trees.append(grow_tree(name, rows, self.vectors[rows], how, groups, room))
        return trees

    def group_of(self, rows: Rows) -> Rows:
        """Numbers of the groups of some photos; of its own for each where there are none."""
        return rows if self.groups is None else self.groups[rows]

    def counts(self, rows: Rows) -> NDArray[np.int64]:
        """Photos of each class, `(n_classes,)`."""
        return np.bincount(self.labels[rows], minlength=len(self.class_names))


@dataclass(frozen=True, eq=False)
class SourceTarget:
    """A source and a target.

    Attributes:
        nodes: names of the nodes that make the target, one of each class.
        source: photos, ascending.
        target: photos, ascending.
    """

    nodes: tuple[str, ...]
    source: Rows
    target: Rows

    @property
    def name(self) -> str:
        """Its nodes in a line."""
        return " + ".join(self.nodes)

    def distances(self, photos: PhotoPool) -> tuple[float, float]:
        """Cosine distance of source and target: mean over all pairs, and of the mean vectors."""
        both = photos.vectors[self.source], photos.vectors[self.target]
        return mean_distance(*both), distance_of_means(*both)

    def ratios(self, photos: PhotoPool) -> tuple[float, float]:
        """Photos of the smallest class over those of the largest, in source and in target."""
        counts = [photos.counts(rows) for rows in (self.source, self.target)]
        source, target = (float(one.min() / one.max()) for one in counts)
        return source, target


def first_level(photos: PhotoPool, trees: Sequence[ClassTree]) -> SourceTarget:
    """The larger node of each class is source, the smaller one target.

    Raises:
        DatasetError: a class is missing on a side, or has one photo or group in the target, of
            which no part could be kept for the test.
    """
    mix = _mix(photos, [tree.first[1] for tree in trees])
    if problem := why_not(photos, mix):
        raise DatasetError(
            f"{problem}: choose other classes with {setting('classes')}, another "
            f"{setting('linkage')} (ward makes nodes of like size), or add photos"
        )
    return mix


def second_level(
    photos: PhotoPool, trees: Sequence[ClassTree], most: int, seed: int
) -> tuple[list[SourceTarget], int, int]:
    """Every choice of one node a class as target, all other photos as source.

    Args:
        photos: what there is.
        trees: of all classes.
        most: combinations at most; of more so many are drawn.
        seed: of the draw.

    Returns:
        The combinations; how many there are in all; how many of those looked at cannot be used,
        for a node of one photo or group has no part to test with.
    """
    sizes = [len(tree.second) for tree in trees]
    total = math.prod(sizes)  # of hundreds of classes beyond any float
    every = total <= most
    choices = list(product(*map(range, sizes))) if every else _drawn(sizes, most, seed)
    mixes = [
        _mix(photos, [tree.second[at] for tree, at in zip(trees, choice, strict=True)])
        for choice in choices
    ]
    usable = [mix for mix in mixes if not why_not(photos, mix)]
    return usable, total, len(mixes) - len(usable)


def _drawn(sizes: Sequence[int], most: int, seed: int) -> list[tuple[int, ...]]:
    """So many different choices; there are more than that."""
    generator = np.random.default_rng(seed)
    found: set[tuple[int, ...]] = set()
    while len(found) < most:
        found.add(tuple(int(generator.integers(size)) for size in sizes))
    return sorted(found)


def _mix(photos: PhotoPool, nodes: Sequence[TreeNode]) -> SourceTarget:
    """These nodes are the target; a group of several classes is where most of its photos are."""
    rows = np.flatnonzero(photos.labels >= 0)
    side = np.full(len(rows), _SOURCE)
    side[np.isin(rows, np.concatenate([node.rows for node in nodes]))] = _TARGET
    if photos.groups is not None:
        side = majority(side, photos.group_of(rows))
    names = tuple(node.name for node in nodes)
    return SourceTarget(names, rows[side == _SOURCE], rows[side == _TARGET])


def why_not(photos: PhotoPool, mix: SourceTarget) -> str:
    """Why a source and a target cannot be used; empty where they can."""
    for word, rows in (("source", mix.source), ("target", mix.target)):
        missing = np.flatnonzero(photos.counts(rows) == 0).tolist()
        if missing:
            names = listed([photos.class_names[label] for label in missing[:3]])
            return f"each class must be in the {word}, and {names} is not"
    for label, name in enumerate(photos.class_names):
        rows = mix.target[photos.labels[mix.target] == label]
        if len(np.unique(photos.group_of(rows))) < 2:
            return (
                "the target is divided into a part to train on and one to test with, and of "
                f"{name} it has {_one(len(rows))}"
            )
    return ""


def _one(photos: int) -> str:
    return "one photo" if photos == 1 else f"one group of {photos} photos that stay together"


def draw_test(photos: PhotoPool, mix: SourceTarget, share: float, seed: int) -> tuple[Rows, Rows]:
    """The part of the target to train on, and the part to test with.

    Of each class groups are taken in a random order until the share is reached, at least one; at
    least one is left to train on.

    Args:
        photos: what there is.
        mix: the target.
        share: of the target for the test, between 0 and 1.
        seed: of the order.
    """
    if not 0 < share < 1:
        raise ConfigError(
            f"{setting('test_percentage')} must be above 0 and below 100, not {100 * share:g}"
        )
    generator = np.random.default_rng(seed)
    groups, labels = photos.group_of(mix.target), photos.labels[mix.target]
    is_test = np.zeros(len(mix.target), bool)
    for label in range(len(photos.class_names)):
        own = labels == label
        open_groups = generator.permutation(np.unique(groups[own & ~is_test]))
        wanted, taken = share * own.sum(), int((own & is_test).sum())
        for number, group in enumerate(open_groups.tolist()):
            size = int((own & (groups == group)).sum())
            last = number == len(open_groups) - 1
            if last or (taken and taken + size / 2 > wanted):
                break
            is_test |= groups == group
            taken += size
    return mix.target[~is_test], mix.target[is_test]
