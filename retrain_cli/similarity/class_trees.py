"""The photos of a class as a tree of clusters, cut into its first two and its next four nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, DatasetError, setting

Linkage = Literal["ward", "average", "complete", "weighted", "single"]
Metric = Literal["euclidean", "cosine", "correlation", "cityblock"]
Rows = NDArray[np.int64]

PAIR_BYTES = 8
"""Of the distance of two photos; SciPy holds each pair twice while it links."""


@dataclass(frozen=True)
class Clustering:
    """How photos of a class are put together.

    Attributes:
        linkage: how far apart two clusters are, in SciPy's words.
        metric: how far apart two photos are.
    """

    linkage: Linkage = "ward"
    metric: Metric = "euclidean"

    def validate(self) -> Clustering:
        """Return self.

        Raises:
            ConfigError: a linkage or a metric that does not exist, or two that do not go together.
        """
        for name, choices in (("linkage", Linkage), ("metric", Metric)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(
                    f"{setting(name)} takes {', '.join(get_args(choices))}, not "
                    f"{getattr(self, name)!r}"
                )
        if self.linkage == "ward" and self.metric != "euclidean":
            raise ConfigError(
                f"{setting('linkage', 'ward')} measures variance, which is Euclidean, and "
                f"{setting('metric')} is {self.metric}: choose {setting('linkage', 'average')}, or "
                f"{setting('metric', 'euclidean')}"
            )
        return self


@dataclass(frozen=True, eq=False)
class TreeNode:
    """A cluster of one class.

    Attributes:
        name: class and place: A and B are the first two, A the larger; 1 and 2 are within A, 3 and
            4 within B.
        rows: its photos, ascending, as rows of the dataset.
    """

    name: str
    rows: Rows


@dataclass(frozen=True, eq=False)
class ClassTree:
    """The tree of a class.

    Attributes:
        name: of the class.
        rows: its photos, as rows of the dataset.
        merges: `(n - 1, 4) float64`, SciPy's linkage matrix over `rows`.
        first: the nodes of the first level: the larger, the smaller.
        second: those of the second level, two to four.
    """

    name: str
    rows: Rows
    merges: NDArray[np.float64]
    first: tuple[TreeNode, TreeNode]
    second: tuple[TreeNode, ...] = field(default=())


def grow_tree(
    name: str,
    rows: Rows,
    vectors: NDArray[np.float32],
    how: Clustering,
    groups: NDArray[np.int64] | None = None,
    room: int | None = None,
) -> ClassTree:
    """Cluster the photos of a class, and cut the tree.

    A group of photos that belong together stands whole in the node with more of its photos, of
    equals in the larger one.

    Args:
        name: of the class.
        rows: its photos, as rows of the dataset, ascending.
        vectors: `(len(rows), width) float32`, their bottlenecks.
        how: linkage and metric.
        groups: of each photo of `rows` the number of its group; None where each is on its own.
        room: bytes that distances may take; None for any.

    Raises:
        DatasetError: too few photos for two nodes, more than memory holds the distances of, or a
            vector that has no such distance.
    """
    if len(rows) < 2:
        raise DatasetError(
            f"a class is cut into two nodes of similar photos, and {name} has {len(rows)} photo: "
            f"add photos to it, or choose others with {setting('classes')}"
        )
    merges = _link(name, vectors, how, room)
    larger, smaller = _kept_whole(_children(merges, 2 * len(rows) - 2), groups)
    if not len(smaller):
        raise DatasetError(
            f"a class is cut into two nodes of similar photos, and all of {name} stay in one, for "
            "its groups (_nohash_ names, duplicates) are not torn apart: choose other classes "
            f"with {setting('classes')}, or another {setting('linkage')}"
        )
    first = TreeNode(f"{name} A", rows[larger]), TreeNode(f"{name} B", rows[smaller])
    second = _second_level(name, rows, merges, (larger, smaller), groups)
    return ClassTree(name, rows, merges, first, second)


def _link(
    name: str, vectors: NDArray[np.float32], how: Clustering, room: int | None
) -> NDArray[np.float64]:
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import pdist

    n = len(vectors)
    needed = n * (n - 1) * PAIR_BYTES
    if room is not None and needed > room:
        raise DatasetError(
            f"clustering holds the distance of each pair of photos, and the {n:,} of {name} need "
            f"{needed >> 20:,} MiB of the {room >> 20:,} that are free: choose smaller classes "
            f"with {setting('classes')}"
        )
    distances = pdist(vectors.astype(np.float64), how.metric)
    if not np.isfinite(distances).all():
        raise DatasetError(
            f"clustering needs a distance between any two photos, and {how.metric} gives none for "
            f"some of {name} (a bottleneck of zeros): choose {setting('metric', 'euclidean')}"
        )
    merges: NDArray[np.float64] = linkage(distances, how.linkage)
    return merges


def _children(merges: NDArray[np.float64], node: int) -> list[Rows]:
    """The leaves of both nodes below a node, the larger first; of a leaf itself."""
    n = len(merges) + 1
    if node < n:
        return [np.array([node])]
    both = [_leaves(merges, int(child)) for child in merges[node - n, :2]]
    return sorted(both, key=lambda leaves: (-len(leaves), leaves[0]))


def _leaves(merges: NDArray[np.float64], node: int) -> Rows:
    """The leaves below a node, ascending; no recursion, for trees may be deep."""
    n, found, open_nodes = len(merges) + 1, [], [node]
    while open_nodes:
        one = open_nodes.pop()
        if one < n:
            found.append(one)
        else:
            open_nodes += [int(child) for child in merges[one - n, :2]]
    return np.array(sorted(found), np.int64)


def _kept_whole(parts: list[Rows], groups: NDArray[np.int64] | None) -> list[Rows]:
    """The parts, the largest first, with each group in the one that has most of its photos."""
    if groups is not None:
        side = np.full(len(groups), -1)
        for number, part in enumerate(parts):
            side[part] = number
        taken = side >= 0
        side[taken] = majority(side[taken], groups[taken])
        parts = [np.flatnonzero(side == number) for number in range(len(parts))]
    return sorted(parts, key=lambda part: -len(part))


def majority(side: Rows, groups: NDArray[np.int64]) -> Rows:
    """For each photo the side that most of its group are on; of equals the lower number.

    Args:
        side: `(n,) int64`, numbers from 0.
        groups: `(n,) int64`, any numbers.
    """
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((group.max(initial=-1) + 1, side.max(initial=0) + 1), np.int64)
    np.add.at(counts, (group, side), 1)
    best: Rows = counts.argmax(axis=1)[group]
    return best


def _second_level(
    name: str,
    rows: Rows,
    merges: NDArray[np.float64],
    first: tuple[Rows, Rows],
    groups: NDArray[np.int64] | None,
) -> tuple[TreeNode, ...]:
    """The nodes below those of the first level; what groups have moved is not moved back."""
    n = len(rows)
    grown = [_leaves(merges, int(node)) for node in merges[-1, :2]]
    tops = [int(node) for node in merges[-1, :2]]
    found: list[TreeNode] = []
    for number, side in enumerate(first):
        own = max(range(2), key=lambda at: len(np.intersect1d(grown[at], side)))
        parts = _children(merges, tops[own]) if tops[own] >= n else [grown[own]]
        parts = [part for part in _within(parts, side, groups) if len(part)]
        found += [
            TreeNode(f"{name} {2 * number + at + 1}", rows[part]) for at, part in enumerate(parts)
        ]
    return tuple(found)


def _within(parts: list[Rows], side: Rows, groups: NDArray[np.int64] | None) -> list[Rows]:
    """The parts as far as they are on a side; what came to it from elsewhere joins its group."""
    kept = [np.intersect1d(part, side) for part in parts]
    missing = np.setdiff1d(side, np.concatenate(kept))
    if groups is not None:
        for row in missing.tolist():
            best = max(
                range(len(kept)), key=lambda at: int((groups[kept[at]] == groups[row]).sum())
            )
            kept[best] = np.union1d(kept[best], [row])
        number = np.full(len(groups), -1)
        for at, part in enumerate(kept):
            number[part] = at
        number[side] = majority(number[side], groups[side])
        kept = [side[number[side] == at] for at in range(len(kept))]
    return sorted(kept, key=lambda part: -len(part))


def node_places(tree: ClassTree) -> Iterator[tuple[str, str, int]]:
    """Level, name and number of photos of each node of a tree."""
    for node in tree.first:
        yield "first", node.name, len(node.rows)
    for node in tree.second:
        yield "second", node.name, len(node.rows)


def cosine_distance(a: NDArray[Any], b: NDArray[Any]) -> float:
    """One minus the cosine of two vectors: 0 for those of one direction; NaN for one of zeros."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(1 - np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))


def distance_of_means(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Cosine distance of the mean vectors of two sets of photos, each `(n, width)`."""
    return cosine_distance(a.mean(axis=0, dtype=np.float64), b.mean(axis=0, dtype=np.float64))


def mean_distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean cosine distance of all pairs of a photo of one set and a photo of the other.

    That is one minus the product of the means of the vectors brought to length 1.
    """
    means = [_unit(vectors).mean(axis=0) for vectors in (a, b)]
    return float(1 - means[0] @ means[1])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Vectors brought to length 1; one of zeros stays, as far from all others as can be."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.where(lengths > 0, lengths, 1)
    return unit
