"""A new class from a few photos, without training: weight imprinting.

After H. Qi, M. Brown and D. G. Lowe, "Low-shot learning with imprinted weights", CVPR 2018: the
weights of the new class point where its photos lie. There, all weights are unit vectors; a softmax
head's are not, so that length and bias of the new column are fitted (see `heads.joining`): to the
training photos of the known classes on one side, and on the other to how far a photo goes in the
direction that the *other* photos of its class give. Known columns stay as they are, bit by bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.joining import CalibrationSet, calibrate, join_heads, log_sum_exp

FloatArray = NDArray[np.float32]

_PHOTOS_A_CLASS = 8
"""Photos of each known class that show how alike photos of one class are; for one new photo."""


def imprint(head: Head, known: HeadData, name: str, photos: FloatArray) -> Head:
    """The head with one class more.

    Args:
        head: the trained head, of the classes of `known`.
        known: bottlenecks of the known classes; the training rows are looked at.
        name: of the new class; not one of the head's.
        photos: `(n_photos, width)` bottlenecks of the new class, at least one.
    """
    vectors = known.bottlenecks[known.training]
    labels = known.labels[known.training]
    centre = _centre(vectors, labels)
    away = photos - centre
    direction = _direction(away.mean(axis=0))
    second, first = _new_side(away, head.logits(photos), vectors - centre, labels)
    photos_of_both = _both_sides(
        log_sum_exp(head.logits(vectors)), (vectors - centre) @ direction, first, second, head
    )
    column = Head((name,), direction[:, None], -(centre @ direction)[None])
    return join_heads(head, calibrate(photos_of_both).apply(column))


def _centre(vectors: FloatArray, labels: NDArray[np.int32]) -> FloatArray:
    """Mean over the classes of the mean over their photos."""
    sizes = np.bincount(labels)
    weight = 1 / (np.count_nonzero(sizes) * sizes[labels])
    centre: FloatArray = (weight.astype(np.float32)) @ vectors
    return centre


def _direction(vector: FloatArray) -> FloatArray:
    length = np.linalg.norm(vector)
    direction: FloatArray = (vector / max(float(length), 1e-12)).astype(np.float32)
    return direction


def _new_side(
    away: FloatArray, logits: FloatArray, known: FloatArray, labels: NDArray[np.int32]
) -> tuple[FloatArray, FloatArray]:
    """How far unseen photos of the new class may be expected to go in its direction.

    Returns:
        Lengths along the direction, and the known classes' log-sum-exp beside each.
    """
    first = log_sum_exp(logits).astype(np.float32)
    if len(away) > 1:
        return _left_out(away), first
    shares = _likeness(known, labels)
    own = float(np.linalg.norm(away[0]))
    return own * shares, np.repeat(first, len(shares))


def _left_out(away: FloatArray) -> FloatArray:
    """Each photo's length along the direction of all others, `(n_photos,)`."""
    others = away.sum(axis=0) - away
    lengths = np.linalg.norm(others, axis=1)
    result: FloatArray = (away * others).sum(axis=1) / np.maximum(lengths, 1e-12)
    return result


def _likeness(known: FloatArray, labels: NDArray[np.int32]) -> FloatArray:
    """Length of a photo along another one of its class, as a share of that one's own length.

    One new photo cannot tell how alike photos of its class are; those of known classes can.
    """
    shares = [np.ones(1, np.float32)]
    for label in np.unique(labels):
        some = known[labels == label][: _PHOTOS_A_CLASS + 1]
        shares.append(some[1:] @ some[0] / max(float(some[0] @ some[0]), 1e-12))
    return np.concatenate(shares if len(shares[0]) == len(shares) else shares[1:])


def _both_sides(
    known_first: NDArray[np.float64],
    known_second: FloatArray,
    first: FloatArray,
    second: FloatArray,
    head: Head,
) -> CalibrationSet:
    """All photos, the new class weighing as much as one known class."""
    n_known, n_new = len(known_first), len(first)
    share = 1 / (head.n_classes + 1)
    return CalibrationSet(
        np.concatenate([known_first, first]),
        np.concatenate([known_second, second])[:, None].astype(np.float64),
        np.repeat([-1, 0], [n_known, n_new]),
        np.repeat([(1 - share) / n_known, share / n_new], [n_known, n_new]),
    )
