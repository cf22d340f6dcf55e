"""Photos that are almost the same: versions of one picture, frames of one film.

Two photos are near duplicates where both of two views agree: the cosine of their whitened
bottlenecks (what they show) and their two hashes (where light and dark are). Each alone takes
strangers for twins: a hash any two motorbikes before a white wall, a bottleneck any two of a kind.
A network takes a photo and its mirror image for much the same, and a photo and what is left when
its edges are cut off, so the hashes are compared with those of the mirror image and of parts, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.looks import PhotoLook, hamming, mirrored
from retrain_cli.similarity.neighbours import Pairs, near_pairs
from retrain_cli.similarity.whitening import Whitening

LEAST_COSINE: Final = 0.5
_SURE_COSINE: Final = 0.75
_FEWEST_BITS: Final = 8
MOST_BITS: Final = 26
_MOST_BITS_ALONE: Final = 28
"""Measured on 3,184 photos of Caltech-101 and 300 versions of 300 of them; see docs/check.md. A
pair of which the cosine is less sure needs hashes that agree more. Where photos are too few to
whiten their bottlenecks the cosine says little, and the hashes decide almost alone."""

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
    if not looks:
        return
    whole, *parts = _views(looks)
    whitening = Whitening.fit(bottlenecks)
    whitened = whitening.matrix is not None
    others = [whole, *(parts if whitened else ())]
    others += [mirrored(*one) for one in others]
    for pairs in near_pairs(whitening(bottlenecks), LEAST_COSINE):
        differing = np.min([_differing(whole, other, pairs) for other in others], axis=0)
        alike = differing <= _allowed_bits(pairs.similarity, whitened=whitened)
        yield Pairs(pairs.left[alike], pairs.right[alike], pairs.similarity[alike])


_Hashes = tuple[NDArray[np.uint64], NDArray[np.uint64]]


def _views(looks: Sequence[PhotoLook]) -> list[_Hashes]:
    """Both hashes of all photos as they are, then of each part that all of them have."""
    rows = [((look.phash, look.dhash), *look.parts) for look in looks]
    views = zip(*rows, strict=False)
    return [(hashes[:, 0], hashes[:, 1]) for one in views for hashes in (np.array(one, np.uint64),)]


def _differing(whole: _Hashes, others: _Hashes, pairs: Pairs) -> NDArray[np.int64]:
    """Bits that differ in both hashes of each pair, 0 to 128: one as it is, the other as seen."""

    def counted(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
        counts = [hamming(one[left], seen[right]) for one, seen in zip(whole, others, strict=True)]
        return np.asarray(np.sum(counts, axis=0), np.int64)

    return np.minimum(counted(pairs.left, pairs.right), counted(pairs.right, pairs.left))


def _allowed_bits(cosine: NDArray[np.float32], *, whitened: bool) -> NDArray[np.float32]:
    """How many bits may differ at each cosine: the more the surer it is."""
    most = MOST_BITS if whitened else _MOST_BITS_ALONE
    sure = np.clip((cosine - LEAST_COSINE) / (_SURE_COSINE - LEAST_COSINE), 0, 1)
    return np.asarray(_FEWEST_BITS + sure * (most - _FEWEST_BITS), np.float32)


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
