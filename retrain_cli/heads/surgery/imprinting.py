"""A new class from a few photos, without training: weight imprinting.

After H. Qi, M. Brown and D. G. Lowe, "Low-shot learning with imprinted weights", CVPR 2018: the
weights of the new class point where its photos lie. There, all weights are unit vectors; those of a
softmax head are not, so that length and bias of the new column are fitted (see `heads.joining`). On
one side stand the training photos of the known classes. On the other should stand photos of the
new class that the column was not made of; as there are none, the known classes show how far a photo
goes in the direction that a few others of its class give. Known columns stay as they are, bit by
bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.dataset import rows_of_classes
from retrain_cli.evaluation.predictions import chunks
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.joining import AlignmentSet, align_logits, join_heads, log_sum_exp

FloatArray = NDArray[np.float32]

_OTHERS = 10
"""How many photos of each known class stand for photos that are still to come."""


@dataclass(frozen=True, eq=False)
class KnownPhotos:
    """The training photos of the known classes, which a new class is held against.

    Attributes:
        features: `(n_photos, n_features) float32`, what the last layer of the head takes.
        labels: `(n_photos,) int32`.
        log_sums: `(n_photos,) float64`, log-sum-exp of the head's logits.
    """

    features: FloatArray
    labels: NDArray[np.int32]
    log_sums: NDArray[np.float64]

    @classmethod
    def of(cls, head: Head, known: HeadData) -> KnownPhotos:
        """The training rows of the head's own classes; their logits need not fit into memory."""
        vectors = known.bottlenecks[known.training]
        features, last = head.features(vectors), head.last_layer
        parts = chunks(len(vectors), max(head.n_classes, features.shape[1]))
        log_sums = [log_sum_exp(last.logits(features[part])) for part in parts]
        return cls(features, known.labels[known.training], np.concatenate(log_sums))


def imprint(head: Head, known: HeadData, name: str, photos: FloatArray) -> Head:
    """The head with one class more.

    Args:
        head: the trained head, of the classes of `known`.
        known: bottlenecks of the known classes; the training rows are looked at.
        name: of the new class; not one of the head's.
        photos: `(n_photos, width)` bottlenecks of the new class, at least one.
    """
    beside, of_photos = KnownPhotos.of(head, known), head.features(photos)
    return head.with_last_layer(imprint_features(head.last_layer, beside, name, of_photos))


def imprint_features(head: Head, known: KnownPhotos, name: str, photos: FloatArray) -> Head:
    """The same for a last layer alone, features in place of bottlenecks."""
    labels = known.labels
    centre = _centre(known.features, labels)
    away = known.features - centre
    direction, length = _direction(photos - centre)
    expected = length * _likeness(away, labels, photos - centre)
    beside = np.resize(log_sum_exp(head.logits(photos)), len(expected))
    second = np.concatenate([away @ direction, expected]).astype(np.float64)
    photos_of_both = AlignmentSet(
        np.concatenate([known.log_sums, beside]),
        second[:, None],
        np.repeat([-1, 0], [len(away), len(expected)]),
        _weights(len(away), len(expected), len(np.unique(labels))),
    )
    column = Head((name,), direction[:, None], -(centre @ direction)[None])
    return join_heads(head, align_logits(photos_of_both).apply(column))


def _weights(n_known: int, n_new: int, n_classes: int) -> NDArray[np.float64]:
    """The new class weighs as much as one known class."""
    share = 1 / (n_classes + 1)
    return np.repeat([(1 - share) / n_known, share / n_new], [n_known, n_new])


def _centre(vectors: FloatArray, labels: NDArray[np.int32]) -> FloatArray:
    """Mean over the classes of the means over their photos."""
    sizes = np.bincount(labels)
    weight = 1 / (np.count_nonzero(sizes) * sizes[labels])
    centre: FloatArray = weight.astype(np.float32) @ vectors
    return centre


def _direction(away: FloatArray) -> tuple[FloatArray, float]:
    """Unit vector to the mean of some photos, and how far they go along it on average."""
    mean = away.mean(axis=0)
    direction: FloatArray = mean / max(float(np.linalg.norm(mean)), 1e-12)
    return direction, float((away @ direction).mean())


def _likeness(known: FloatArray, labels: NDArray[np.int32], photos: FloatArray) -> FloatArray:
    """How far unseen photos go along a direction, as shares of those that gave it.

    Asked of each known class that has more photos than the new one; else of the new one, each
    photo against all others.
    """
    n_photos = len(photos)
    classes = rows_of_classes(labels, int(labels.max()) + 1)
    larger = [known[rows] for rows in classes if len(rows) > n_photos]
    if larger:
        cases = [(vectors[:n_photos], vectors[n_photos:][:_OTHERS]) for vectors in larger]
    elif n_photos > 1:
        cases = [(np.delete(photos, row, axis=0), photos[[row]]) for row in range(n_photos)]
    else:
        return np.ones(1, np.float32)
    return np.concatenate([_shares(*case) for case in cases])


def _shares(made_of: FloatArray, unseen: FloatArray) -> FloatArray:
    direction, length = _direction(made_of)
    shares: FloatArray = (unseen @ direction) / max(length, 1e-12)
    return shares
