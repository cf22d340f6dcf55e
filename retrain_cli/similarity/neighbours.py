"""Which bottlenecks are alike: exact search by cosine, in blocks, so that memory stays small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError

BLOCK_ROWS = 4096
"""Rows of one side of a block of similarities: 4096 x 4096 float32 are 64 MiB."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest rows of a matrix to each of some queries, best first.

    Attributes:
        rows: `(n_queries, k) int64`, rows of the matrix; of equals the lower row comes first.
        similarity: `(n_queries, k) float32`, their cosine, -1 to 1.
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows of one matrix that are alike, each once, `left < right`.

    Attributes:
        left: `(n_pairs,) int64`.
        right: `(n_pairs,) int64`.
        similarity: `(n_pairs,) float32`, their cosine.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    similarity: NDArray[np.float32]


def unit_rows(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows scaled to length 1, `(n, width) float32`; a row of zeros stays one."""
    values = np.asarray(matrix, np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))[:, None]
    unit: NDArray[np.float32] = values / np.where(lengths > 0, lengths, np.float32(1))
    return unit


def nearest(queries: NDArray[np.float32], matrix: NDArray[np.float32], k: int) -> Neighbours:
    """The k rows of `matrix` with the highest cosine to each query; exact.

    Memory is bounded by two blocks of `BLOCK_ROWS` rows and their similarities, so `matrix` may be
    a memory-mapped file.

    Args:
        queries: `(n_queries, width) float32`.
        matrix: `(n, width) float32`.
        k: how many; more than `n` gives all.

    Raises:
        ConfigError: k below 1.
    """
    if k < 1:
        raise ConfigError(f"a search for the nearest needs k of at least 1, not {k}")
    k = min(k, len(matrix))
    rows = np.empty((len(queries), k), np.int64)
    similarity = np.empty((len(queries), k), np.float32)
    for some in _blocks(len(queries)):
        rows[some], similarity[some] = _nearest_of_block(unit_rows(queries[some]), matrix, k)
    return Neighbours(rows, similarity)


def nearest_of_blocks(
    queries: NDArray[np.float32], blocks: Iterable[NDArray[np.float32]], k: int
) -> Neighbours:
    """As `nearest`, of a matrix that comes in blocks of rows; rows are counted through."""
    best = Neighbours(
        np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    )
    start = 0
    for block in blocks:
        found = nearest(queries, block, k)
        rows = np.concatenate([best.rows, found.rows + start], axis=1)
        similarity = np.concatenate([best.similarity, found.similarity], axis=1)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        best = Neighbours(
            np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarity, order, axis=1)
        )
        start += len(block)
    return best


def _nearest_of_block(
    queries: NDArray[np.float32], matrix: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rows = np.empty((len(queries), 0), np.int64)
    best = np.empty((len(queries), 0), np.float32)
    for block in _blocks(len(matrix)):
        scores = queries @ unit_rows(matrix[block]).T
        found = _highest(scores, k)
        rows = np.concatenate([rows, found + block.start], axis=1)
        best = np.concatenate([best, np.take_along_axis(scores, found, axis=1)], axis=1)
        # What was found before comes first and has lower rows, so a stable sort keeps the order.
        order = np.argsort(-best, axis=1, kind="stable")[:, :k]
        rows = np.take_along_axis(rows, order, axis=1)
        best = np.take_along_axis(best, order, axis=1)
    return rows, best


def _highest(scores: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns of the k highest scores of each row, in ascending order of the column."""
    if k >= scores.shape[1]:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    # A partition picks freely among those that tie for the last place: take the lowest columns.
    last = np.take_along_axis(scores, chosen, axis=1).min(axis=1, keepdims=True)
    for row in np.flatnonzero((scores >= last).sum(axis=1) > k):
        chosen[row] = np.argsort(-scores[row], kind="stable")[:k]
    return np.sort(chosen, axis=1)


def near_pairs(matrix: NDArray[np.float32], least: float) -> Iterator[Pairs]:
    """All pairs of rows whose cosine is at least `least`, block by block; exact.

    Memory is as in `nearest`, so that 100,000 rows are no more trouble than 1,000; the time grows
    with the square.

    Args:
        matrix: `(n, width) float32`.
        least: the lowest cosine that counts.
    """
    for left in _blocks(len(matrix)):
        own = unit_rows(matrix[left])
        for right in _blocks(len(matrix), left.start):
            other = own if right == left else unit_rows(matrix[right])
            yield _pairs_of_block(own @ other.T, left.start, right.start, least)


def _pairs_of_block(scores: NDArray[np.float32], top: int, first: int, least: float) -> Pairs:
    rows, columns = np.nonzero(scores >= least)
    kept = rows + top < columns + first
    rows, columns = rows[kept], columns[kept]
    return Pairs(rows + top, columns + first, scores[rows, columns])


def _blocks(count: int, start: int = 0) -> Iterator[slice]:
    for low in range(start, count, BLOCK_ROWS):
        yield slice(low, min(low + BLOCK_ROWS, count))
