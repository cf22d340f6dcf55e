"""Groups of near duplicates: joined through chains, and stable when photos are added."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.datasets.splits import SplitItem, assign_splits
from retrain_cli.images.looks import (
    PhotoLook,
    difference_hash,
    hamming,
    look_at,
    mirrored,
    perceptual_hash,
)
from retrain_cli.similarity.near_duplicates import (
    _allowed_bits,
    find_founders,
    join,
    near_duplicates,
)
from retrain_cli.similarity.neighbours import Pairs


def pairs(*ends: tuple[int, int]) -> Pairs:
    left, right = np.array(ends, np.int64).reshape(-1, 2).T
    return Pairs(left, right, np.ones(len(ends), np.float32))


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_chains_are_one_group_across_blocks() -> None:
    groups = join(6, iter([pairs((0, 1), (3, 4)), pairs(), pairs((1, 3))]))
    assert groups[0] == groups[1] == groups[3] == groups[4]
    assert len({groups[0], groups[2], groups[5]}) == 3


def look(phash: int, dhash: int) -> PhotoLook:
    return PhotoLook(100, 100, 200.0, 50.0, phash, dhash)


def random_photos(count: int) -> tuple[NDArray[np.float32], list[PhotoLook]]:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(count, 16)).astype(np.float32)
    hashes = generator.integers(0, 2**63, (count, 2), dtype=np.uint64)
    return vectors, [look(int(phash), int(dhash)) for phash, dhash in hashes]


def found_pairs(vectors: NDArray[np.float32], looks: list[PhotoLook]) -> list[tuple[int, int]]:
    return [
        (int(left), int(right))
        for block in near_duplicates(vectors, looks)
        for left, right in zip(block.left, block.right, strict=True)
    ]


def test_both_views_must_agree() -> None:
    vectors, looks = random_photos(200)
    vectors[1] = vectors[0] + 0.01
    vectors[3] = vectors[2] + 0.01
    looks[1] = look(looks[0].phash ^ 0b111, looks[0].dhash ^ 0b11)
    looks[5] = looks[4]
    # not (2, 3), only alike in bottlenecks, nor (4, 5), only in their hashes
    assert found_pairs(vectors, looks) == [(0, 1)]


def test_a_mirror_image_is_a_near_duplicate() -> None:
    vectors, looks = random_photos(200)
    grey = smooth_grey(3)
    for row, one in enumerate((grey, grey[:, ::-1])):
        looks[row] = look(perceptual_hash(one), difference_hash(one))
    vectors[1] = vectors[0] + 0.01
    assert found_pairs(vectors, looks) == [(0, 1)]


@pytest.mark.parametrize("cut", [(16, 16, 184, 184), (0, 18, 200, 200), (18, 0, 200, 200)])
def test_what_is_left_of_a_photo_without_its_edges_is_a_near_duplicate(
    cut: tuple[int, int, int, int],
) -> None:
    vectors, looks = random_photos(200)
    coarse = np.random.default_rng(1).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    photo = Image.fromarray(coarse).resize((200, 200), Image.Resampling.BICUBIC)
    for row, one in enumerate((photo, photo.crop(cut))):
        file = io.BytesIO()
        one.save(file, "PNG")
        looks[row] = look_at(file.getvalue())
    looks[2:] = [replace(one, parts=looks[0].parts) for one in looks[2:]]
    vectors[1] = vectors[0] + 0.01
    assert (0, 1) in found_pairs(vectors, looks)
    whole = [replace(one, parts=()) for one in looks]
    assert (0, 1) not in found_pairs(vectors, whole), "it is found by its parts"


def smooth_grey(seed: int) -> NDArray[np.float32]:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 9), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_the_hashes_of_a_mirror_image_follow_from_those_of_the_photo(seed: int) -> None:
    grey = smooth_grey(seed)
    own = [np.array([one(grey)], np.uint64) for one in (perceptual_hash, difference_hash)]
    turned = [
        np.array([one(grey[:, ::-1])], np.uint64) for one in (perceptual_hash, difference_hash)
    ]
    phash, dhash = mirrored(own[0], own[1])
    assert hamming(phash, turned[0]) <= 12
    assert hamming(dhash, turned[1]) <= 1
    assert hamming(dhash, own[1]) > 12


def test_a_less_sure_cosine_needs_hashes_that_agree_more() -> None:
    allowed = _allowed_bits(np.array([0.5, 0.6, 0.75, 1.0], np.float32), whitened=True)
    assert allowed.tolist() == pytest.approx([8, 15.2, 26, 26])
    assert _allowed_bits(np.array([1.0], np.float32), whitened=False).tolist() == [28]


def test_a_founder_stays_when_a_photo_with_a_smaller_digest_joins() -> None:
    old = [digest(5), digest(7)]
    known = find_founders(old, np.array([0, 0]), {})
    assert known == {digest(5): digest(5), digest(7): digest(5)}
    grown = find_founders([digest(1), *old], np.array([3, 3, 3]), known)
    assert set(grown.values()) == {digest(5)}


def test_the_larger_of_two_known_groups_keeps_its_founder() -> None:
    known = {digest(9): digest(9), digest(4): digest(9), digest(2): digest(2)}
    found = find_founders([digest(n) for n in (2, 3, 4, 9)], np.array([0, 0, 0, 3]), known)
    assert set(found.values()) == {digest(9)}  # and 9 itself is still of the group of 4


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=20), st.integers(1, 29))
def test_photos_that_stay_stay_in_their_split(edges: list[tuple[int, int]], n_old: int) -> None:
    """Old photos keep their split whatever joins them, unless it joins two of their groups."""
    generator = np.random.default_rng(n_old)
    digests = [generator.bytes(16) for _ in range(30)]
    old_edges = [edge for edge in edges if max(edge) < n_old]
    before = join(n_old, iter([pairs(*old_edges)]))
    known = find_founders(digests[:n_old], before, {})
    after = join(30, iter([pairs(*edges)]))
    founders = find_founders(digests, after, known)
    for group in set(after.tolist()):
        members = [digests[number] for number in np.flatnonzero(after == group)]
        assert len({founders[member] for member in members}) == 1
        old = {known[member] for member in members if member in known}
        if len(old) == 1:
            assert founders[members[0]] in old

    def split_of(count: int, of: dict[bytes, bytes]) -> list[str]:
        items = [SplitItem(one, 0, None, None, of[one]) for one in digests[:count]]
        return list(assign_splits(items, 30, 30))

    splits = split_of(30, founders)
    for group in set(after.tolist()):
        assert len({splits[number] for number in np.flatnonzero(after == group)}) == 1
