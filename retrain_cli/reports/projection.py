"""Bottlenecks in two dimensions, for people to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import MissingExtraError

MapMethod = Literal["pca", "tsne", "none"]

_TSNE_COMPONENTS = 50  # as its authors advise: t-SNE of the first principal components
_PERPLEXITY = 30.0


@dataclass(frozen=True, eq=False)
class Projection:
    """Points in the plane.

    Attributes:
        points: `(n, 2) float64`.
        method: how they came about, in words.
    """

    points: NDArray[np.float64]
    method: str


def project(bottlenecks: NDArray[np.float32], method: MapMethod, seed: int = 0) -> Projection:
    """Lay bottlenecks out in the plane.

    Args:
        bottlenecks: `(n, width) float32`.
        method: pca, or tsne (L. van der Maaten and G. Hinton, "Visualizing data using t-SNE", JMLR
            9, 2008), which needs scikit-learn.
        seed: of t-SNE.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    if method == "tsne":
        return _tsne(bottlenecks, seed)
    points, shares = principal_components(bottlenecks, 2)
    explained = " and ".join(f"{share:.0%}" for share in shares)
    return Projection(
        points, f"principal components; the two axes hold {explained} of the variance"
    )


def principal_components(
    vectors: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates on the k directions of the largest variance, and the share of each.

    The sign of a direction is chosen so that its largest weight is positive; equal vectors give
    equal coordinates. Directions beyond the rank of the vectors are zero.

    Args:
        vectors: `(n, width) float32`, n at least 1.
        k: how many directions.

    Returns:
        `(n, k) float64` and `(k,) float64` from 0 to 1.
    """
    centred = np.asarray(vectors, np.float64) - vectors.mean(axis=0, dtype=np.float64)
    # Of the two products the smaller one is decomposed: both have the same eigenvalues.
    tall = centred.shape[0] >= centred.shape[1]
    values, sides = np.linalg.eigh(centred.T @ centred if tall else centred @ centred.T)
    total = max(float(values.sum()), np.finfo(float).tiny)
    order = np.argsort(values)[::-1][:k]
    directions = sides[:, order] if tall else centred.T @ sides[:, order]
    lengths = np.linalg.norm(directions, axis=0)
    directions /= np.where(lengths > 0, lengths, 1)
    strongest = directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])]
    points = np.zeros((len(vectors), k))
    points[:, : len(order)] = centred @ (directions * np.where(strongest < 0, -1, 1))
    shares = np.zeros(k)
    shares[: len(order)] = np.clip(values[order], 0, None) / total
    return points, shares


def _tsne(bottlenecks: NDArray[np.float32], seed: int) -> Projection:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError("maps by t-SNE", "map") from error
    reduced, _ = principal_components(bottlenecks, min(_TSNE_COMPONENTS, *bottlenecks.shape))
    perplexity = min(_PERPLEXITY, max(1.0, (len(reduced) - 1) / 3))
    points = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return Projection(
        np.asarray(points, np.float64),
        f"t-SNE, perplexity {perplexity:.0f}: neighbours are near, distances mean little",
    )
