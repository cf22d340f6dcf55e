"""Nearest rows and near pairs against scikit-learn, across blocks, with ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from retrain_cli.errors import ConfigError
from retrain_cli.similarity import neighbours
from retrain_cli.similarity.neighbours import near_pairs, nearest, unit_rows


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 7)


def vectors(count: int, seed: int, width: int = 5) -> np.ndarray:
    """Small whole numbers, so that ties and rows of zeros occur."""
    generator = np.random.default_rng(seed)
    return generator.integers(-1, 3, (count, width)).astype(np.float32)


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 45), st.integers(0, 10_000))
def test_the_nearest_are_those_of_a_full_sort(n: int, n_queries: int, k: int, seed: int) -> None:
    matrix, queries = vectors(n, seed), vectors(n_queries, seed + 1)
    found = nearest(queries, matrix, k)
    expected = np.sort(cosine_similarity(queries, matrix), axis=1)[:, ::-1][:, :k]
    assert found.rows.shape == found.similarity.shape == expected.shape
    np.testing.assert_allclose(found.similarity, expected, atol=1e-6)
    own = np.take_along_axis(cosine_similarity(queries, matrix), found.rows, axis=1)
    np.testing.assert_allclose(own, found.similarity, atol=1e-6)
    assert all(len(set(row)) == len(row) for row in found.rows.tolist())


def test_of_equals_the_lower_row_comes_first() -> None:
    matrix = np.tile(np.array([[1.0, 2.0]], np.float32), (30, 1))
    assert nearest(matrix[:1], matrix, 4).rows.tolist() == [[0, 1, 2, 3]]


@given(st.integers(1, 40), st.integers(0, 10_000))
def test_near_pairs_are_those_of_the_full_matrix(n: int, seed: int) -> None:
    matrix = vectors(n, seed)
    full = unit_rows(matrix) @ unit_rows(matrix).T
    least = 0.8123  # no cosine of such small numbers lies near it
    expected = np.argwhere(np.triu(full >= least, 1))
    found = {
        (left, right): similarity
        for pairs in near_pairs(matrix, least)
        for left, right, similarity in zip(pairs.left, pairs.right, pairs.similarity, strict=True)
    }
    assert sorted(found) == list(map(tuple, expected.tolist()))
    for (left, right), similarity in found.items():
        assert similarity == pytest.approx(full[left, right], abs=1e-6)


def test_k_below_one() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        nearest(vectors(3, 0), vectors(3, 0), 0)
