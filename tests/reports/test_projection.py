"""Two dimensions: principal components against scikit-learn, and t-SNE."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from retrain_cli.errors import MissingExtraError
from retrain_cli.reports.projection import principal_components, project


@given(st.integers(3, 40), st.integers(2, 20), st.integers(0, 10**6))
def test_principal_components_are_those_of_scikit_learn(n: Any, width: Any, seed: Any) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, width)) * np.linspace(1, 3, width)
    vectors = vectors.astype(np.float32)
    points, shares = principal_components(vectors.astype(np.float32), 2)
    oracle = PCA(2, svd_solver="full").fit(vectors.astype(np.float64))
    expected = oracle.transform(vectors.astype(np.float64))
    np.testing.assert_allclose(shares, oracle.explained_variance_ratio_, atol=1e-6)
    for axis in (0, 1):
        signs = (np.abs(points[:, axis] - sign * expected[:, axis]).max() for sign in (1, -1))
        assert min(signs) < 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_vectors_that_span_less_than_a_plane(n: int) -> None:
    points, shares = principal_components(np.ones((n, 4), np.float32), 2)
    assert points.shape == (n, 2)
    assert not points.any()
    assert np.isfinite(shares).all()


def test_tsne_keeps_groups_apart() -> None:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(3, 20)) * 10
    labels = np.repeat(np.arange(3), 30)
    vectors = (centres[labels] + generator.normal(size=(90, 20))).astype(np.float32)
    made = project(vectors, "tsne")
    distance = np.linalg.norm(made.points[:, None] - made.points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (labels[distance.argmin(axis=1)] == labels).mean() > 0.95
    assert "perplexity 30" in made.method


def test_tsne_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'retrain-cli\[map\]'"):
        project(np.ones((5, 4), np.float32), "tsne")
