"""Exact and near duplicates of a dataset, as groups of photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import Dataset
from retrain_cli.datasets.splits import Split
from retrain_cli.images.looks import PhotoLook
from retrain_cli.similarity.near_duplicates import join, near_duplicates
from retrain_cli.similarity.neighbours import nearest
from retrain_cli.similarity.whitening import Whitening


@dataclass(frozen=True)
class DuplicateGroup:
    """Photos that are the same, or almost.

    Attributes:
        kind: exact: the same bytes; near: see `similarity/near_duplicates.py`.
        rows: rows of the dataset, in its order.
        similarity: of near duplicates, the lowest cosine of a member to the one most like it.
        classes: how many classes they stand in.
        splits: how many splits they stand in.
    """

    kind: Literal["exact", "near"]
    rows: tuple[int, ...]
    similarity: float
    classes: int
    splits: int


def find_duplicates(
    dataset: Dataset,
    bottlenecks: NDArray[np.float32],
    looks: Mapping[bytes, PhotoLook],
    splits: list[Split],
) -> list[DuplicateGroup]:
    """Groups of exact, then of near duplicates; those across classes, then across splits, first.

    Args:
        dataset: the photos.
        bottlenecks: `(n_photos, width) float32`, row by row.
        looks: of each photo that could be looked at, by digest.
        splits: of each photo.
    """
    rows_of: dict[bytes, list[int]] = {}
    for row, digest in enumerate(dataset.digests):
        rows_of.setdefault(digest, []).append(row)
    exact = [("exact", rows, 1.0) for rows in rows_of.values() if len(rows) > 1]
    distinct = [digest for digest in rows_of if digest in looks]
    firsts = np.array([rows_of[digest][0] for digest in distinct], np.int64)
    near = [
        ("near", sorted(row for n in numbers for row in rows_of[distinct[n]]), similarity)
        for numbers, similarity in _near(bottlenecks[firsts], [looks[d] for d in distinct])
    ]
    groups = [_group(kind, rows, value, dataset, splits) for kind, rows, value in exact + near]
    return sorted(groups, key=lambda g: (g.kind, -g.classes, -g.splits, -len(g.rows), g.rows))


def _near(vectors: NDArray[np.float32], looks: list[PhotoLook]) -> list[tuple[list[int], float]]:
    """Groups of near duplicates, each with its lowest cosine to a nearest member."""
    if not len(vectors):
        return []
    groups = join(len(vectors), near_duplicates(vectors, looks))
    white = Whitening.fit(vectors)
    order = np.argsort(groups, kind="stable")
    found = []
    for members in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if len(members) > 1:
            own = white(vectors[members])
            second = nearest(own, own, 2).similarity[:, 1]
            found.append((members.tolist(), float(second.min())))
    return found


def _group(
    kind: str, rows: list[int], similarity: float, dataset: Dataset, splits: list[Split]
) -> DuplicateGroup:
    return DuplicateGroup(
        "exact" if kind == "exact" else "near",
        tuple(rows),
        similarity,
        len({int(dataset.labels[row]) for row in rows}),
        len({splits[row] for row in rows}),
    )
