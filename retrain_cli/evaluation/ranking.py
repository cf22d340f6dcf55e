"""Ranks of classes by score; equal scores rank by class index, the lower first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FULL_SORT_CLASSES = 128  # up to here sorting all scores costs no more than partitioning them
_CACHED_SCORES = 1_000_000
"""Partitioned at a time: what a processor's caches do not hold takes three times as long."""


def top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.int32]:
    """The k best classes of each image, best first.

    Args:
        scores: `(n_images, n_classes)`, finite, higher is better.
        k: how many, from 1 to n_classes.

    Returns:
        Class indices, `(n_images, k) int32`; of equal scores the lower index comes first.
    """
    n_classes = scores.shape[1]
    if n_classes <= _FULL_SORT_CLASSES or k == n_classes:
        return _sorted_top_k(scores, k)
    result = np.empty((len(scores), k), np.int32)
    size = max(1, _CACHED_SCORES // n_classes)
    for start in range(0, len(scores), size):
        rows = slice(start, start + size)
        result[rows] = _partitioned_top_k(scores[rows], k)
    return result


def _partitioned_top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.int32]:
    chosen = np.sort(np.argpartition(-scores, k - 1, axis=1)[:, :k], axis=1)
    best = np.take_along_axis(scores, chosen, axis=1)
    order = np.argsort(-best, axis=1, kind="stable")
    result = np.take_along_axis(chosen, order, axis=1).astype(np.int32)
    # A partition picks freely among classes that tie for the last place: settle those images.
    worst = best.min(axis=1, keepdims=True)
    tied = (scores == worst).sum(axis=1) > (best == worst).sum(axis=1)
    result[tied] = _sorted_top_k(scores[tied], k)
    return result


def _sorted_top_k(scores: NDArray[np.floating], k: int) -> NDArray[np.int32]:
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)


def rank_of(scores: NDArray[np.floating], classes: NDArray[np.integer]) -> NDArray[np.int32]:
    """The rank of one given class per image, 1 for the best.

    Args:
        scores: `(n_images, n_classes)`, finite, higher is better.
        classes: `(n_images,)` class indices.

    Returns:
        `(n_images,) int32` from 1 to n_classes, in agreement with `top_k`: a class is among the k
        best exactly if its rank is at most k.
    """
    own = np.take_along_axis(scores, classes[:, None], axis=1)
    before = np.arange(scores.shape[1])[None, :] < classes[:, None]
    better = (scores > own) | ((scores == own) & before)
    ranks: NDArray[np.int32] = better.sum(axis=1, dtype=np.int32) + np.int32(1)
    return ranks
