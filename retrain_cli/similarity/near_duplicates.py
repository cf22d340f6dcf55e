"""Photos that are almost the same: versions of one picture, frames of one film.

Two photos are near duplicates where both of two views agree: the cosine of their whitened
bottlenecks (what they show) and their perceptual hash (where light and dark are). Each alone takes
strangers for twins: a hash any two motorbikes before a white wall, a bottleneck any two of a kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.looks import PhotoLook, hamming
from retrain_cli.similarity.neighbours import Pairs, near_pairs
from retrain_cli.similarity.whitening import Whitening

LEAST_COSINE: Final = 0.6
MOST_BITS: Final = 18
"""Measured on 60 to 3,184 photos of Caltech-101 and 840 versions of 120 of them (half and double
size, JPEG quality 30, cropped by 3 to 6% a side, brighter): 94 to 99% of the versions are found,
with Inception v3 as with MobileNetV2. See docs/check.md."""

Grouping = Literal["near-duplicates"]
"""What may be kept together in one split."""

GROUPING: Final[Grouping] = "near-duplicates"


def near_duplicates(
    bottlenecks: NDArray[np.float32], looks: Sequence[PhotoLook]
) -> Iterator[Pairs]:
    """All pairs of near duplicates, block by block, so that memory stays bounded.

    Args:
        bottlenecks: `(n, width) float32`, of distinct photos.
        looks: `n` looks of the same photos.
    """
    hashes = np.array([look.phash for look in looks], np.uint64)
    white = Whitening.fit(bottlenecks)(bottlenecks)
    for pairs in near_pairs(white, LEAST_COSINE):
        alike = hamming(hashes[pairs.left], hashes[pairs.right]) <= MOST_BITS
        yield Pairs(pairs.left[alike], pairs.right[alike], pairs.similarity[alike])


def join(n_photos: int, pairs: Iterator[Pairs]) -> NDArray[np.int64]:
    """Group number of each photo, `(n_photos,) int64`; a chain of pairs is one group."""
    groups = np.arange(n_photos)
    for block in pairs:
        if len(block.left):
            groups = _merged(groups, block.left, block.right)
    return groups


def _merged(
    groups: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.int64]:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(groups)
    edges = (np.ones(len(left), np.int8), (groups[left], groups[right]))
    _, joined = connected_components(coo_matrix(edges, shape=(size, size)), directed=False)
    return np.asarray(joined, np.int64)[groups]


def find_founders(
    digests: Sequence[bytes], groups: NDArray[np.int64], known: Mapping[bytes, bytes]
) -> dict[bytes, bytes]:
    """The founder of each photo: the photo whose place on the line of splits the group has.

    Groups only grow. A photo that joins a known group takes its founder, so that adding photos
    moves none of the old ones, whatever the digests; where a new photo joins two known groups, the
    founder of the larger stays. Wholly new groups take the smallest digest.

    Args:
        digests: distinct photos.
        groups: `(n_photos,)` group number of each.
        known: founders found before.
    """
    if not digests:
        return {}
    first: dict[bytes, int] = {}
    firsts = [
        first.setdefault(known.get(digest, digest), row) for row, digest in enumerate(digests)
    ]
    numbered = np.unique(groups, return_inverse=True)[1]
    joined = _merged(numbered, np.arange(len(digests)), np.array(firsts))
    founders: dict[bytes, bytes] = {}
    order = np.argsort(joined, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(joined[order])) + 1):
        group = [digests[number] for number in members.tolist()]
        founder = _founder(group, known)
        founders.update(dict.fromkeys(group, founder))
    return founders


def _founder(group: list[bytes], known: Mapping[bytes, bytes]) -> bytes:
    votes = [known[digest] for digest in group if digest in known]
    if not votes:
        return min(group)
    return min(set(votes), key=lambda founder: (-votes.count(founder), founder))
