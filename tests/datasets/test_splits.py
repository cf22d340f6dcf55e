"""Splits: by content, together for duplicates and groups, stable, and complete per class."""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.datasets.splits import (
    SPLITS,
    SplitItem,
    _position,
    assign_splits,
    nohash_group,
    straddling,
)
from retrain_cli.errors import ConfigError


def digest(number: int) -> bytes:
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def photos(count: int, label: int = 0, start: int = 0) -> list[SplitItem]:
    return [SplitItem(digest(start + n), label, None, None) for n in range(count)]


@st.composite
def datasets(draw: st.DrawFn) -> list[SplitItem]:
    """A few classes with duplicates, also across classes, and `_nohash_` groups."""
    triples = st.tuples(
        st.integers(0, 40), st.integers(0, 4), st.one_of(st.none(), st.sampled_from("abcd"))
    )
    return [
        SplitItem(digest(number), label, group, None)
        for number, label, group in draw(st.lists(triples, max_size=60))
    ]


@st.composite
def separate_classes(draw: st.DrawFn) -> list[SplitItem]:
    """Classes that share no image, each with 0 to 12 images, some twice."""
    sizes = draw(st.lists(st.integers(0, 12), min_size=1, max_size=8))
    salt = draw(st.integers(0, 10**6))
    items = [
        item
        for label, size in enumerate(sizes)
        for item in photos(size, label, start=salt + 1000 * label)
    ]
    return items + draw(st.lists(st.sampled_from(items), max_size=5)) if items else []


percentages = st.tuples(st.floats(0, 49), st.floats(0, 49))


@given(datasets(), percentages, st.integers(0, 5))
def test_duplicates_and_groups_never_straddle(
    items: list[SplitItem], shares: tuple[float, float], draw: int
) -> None:
    splits = assign_splits(items, *shares, draw=draw)
    together: dict[object, set[str]] = defaultdict(set)
    for item, split in zip(items, splits, strict=True):
        together[item.digest].add(split)
        if item.group is not None:
            together[item.label, item.group].add(split)
    assert all(len(found) == 1 for found in together.values())
    assert straddling(items, splits) == 0


@given(datasets(), percentages, st.randoms(use_true_random=False))
def test_order_does_not_matter(
    items: list[SplitItem], shares: tuple[float, float], rng: random.Random
) -> None:
    order = list(range(len(items)))
    rng.shuffle(order)
    expected = assign_splits(items, *shares)
    shuffled = assign_splits([items[n] for n in order], *shares)
    assert shuffled == [expected[n] for n in order]


@given(separate_classes(), st.floats(0.1, 49), st.floats(0.1, 49))
def test_each_class_of_three_has_one_in_each_set(
    items: list[SplitItem], validation: float, testing: float
) -> None:
    splits = assign_splits(items, validation, testing)
    for label in {item.label for item in items}:
        own = [n for n, item in enumerate(items) if item.label == label]
        found = {splits[n] for n in own}
        distinct = len({items[n].digest for n in own})
        assert "training" in found
        assert distinct < 3 or found == set(SPLITS)


@given(separate_classes(), st.floats(0.1, 49))
def test_a_set_of_zero_percent_stays_empty(items: list[SplitItem], share: float) -> None:
    assert "test" not in assign_splits(items, share, 0)
    assert "validation" not in assign_splits(items, 0, share)


@given(st.integers(1, 30), st.integers(0, 10**6))
def test_adding_images_moves_none_that_chance_had_placed(extra: int, salt: int) -> None:
    before = photos(60, start=salt)
    natural = assign_splits(before, 20, 20)
    if set(natural) != set(SPLITS):
        return
    after = assign_splits([*photos(extra, start=salt + 10**7), *before], 20, 20)
    assert after[extra:] == natural


def test_each_line_is_another_draw_and_the_first_is_that_of_always() -> None:
    items = photos(2000)
    draws = [assign_splits(items, 10, 10, draw=number) for number in range(4)]
    assert draws[0] == assign_splits(items, 10, 10)
    for one, other in itertools.combinations(draws, 2):
        both = sum(a == b == "test" for a, b in zip(one, other, strict=True))
        assert both / 2000 == pytest.approx(0.01, abs=0.008)  # as of independent draws
    assert assign_splits(items, 10, 10, draw=2**128) == draws[0]  # any seed will do


def test_another_class_moves_nothing() -> None:
    before = photos(5)
    shifted = [SplitItem(item.digest, 1, None, None) for item in before]
    after = assign_splits([*photos(7, label=0, start=900), *shifted], 10, 10)
    assert after[7:] == assign_splits(before, 10, 10)


def test_shares_of_many_images() -> None:
    splits = assign_splits(photos(20_000), 10, 20)
    shares = [splits.count(split) / len(splits) for split in SPLITS]
    for share, expected in zip(shares, (0.7, 0.1, 0.2), strict=True):
        assert math.isclose(share, expected, abs_tol=0.01)


def test_the_nearest_images_move_into_empty_sets() -> None:
    """Of three images that chance puts into training, the two leftmost leave it."""
    tried = 0
    for start in range(0, 300, 3):
        items = photos(3, start=start)
        positions = [_position(item.digest, 0) for item in items]
        if min(positions) < 0.2:
            continue
        tried += 1
        splits = assign_splits(items, 10, 10)
        assert splits[positions.index(max(positions))] == "training"
        assert splits[positions.index(min(positions))] == "validation"
    assert tried > 20


def test_a_lone_image_is_for_training() -> None:
    for start in range(50):
        assert assign_splits(photos(1, start=start), 45, 45) == ["training"]
        assert "training" in assign_splits(photos(2, start=start), 45, 45)


def test_groups_of_two_classes_have_nothing_in_common() -> None:
    items = [SplitItem(digest(n), n % 2, "img", None) for n in range(40)]
    for item in photos(30, 0, 500) + photos(30, 1, 600):
        items.append(item)
    splits = assign_splits(items, 30, 30)
    assert len(set(splits[0:40:2])) == 1
    assert len(set(splits[1:40:2])) == 1


def test_given_splits_are_used_as_given() -> None:
    given_by_folder = [SPLITS[n % 3] for n in range(30)]
    items = [SplitItem(digest(n), 0, None, split) for n, split in enumerate(given_by_folder)]
    assert assign_splits(items, 10, 10) == given_by_folder


def test_duplicates_across_given_splits_stay_and_are_counted() -> None:
    items = [
        SplitItem(digest(0), 0, None, "training"),
        SplitItem(digest(0), 0, None, "test"),
        SplitItem(digest(1), 0, None, "validation"),
        SplitItem(digest(2), 0, None, "training"),
    ]
    splits = assign_splits(items, 10, 10)
    assert splits == ["training", "test", "validation", "training"]
    assert straddling(items, splits) == 1


@given(st.integers(4, 60), st.integers(0, 10**6))
def test_missing_validation_is_carved_out_of_training(count: int, salt: int) -> None:
    test = [SplitItem(digest(salt + n), 0, None, "test") for n in range(4)]
    training = [SplitItem(item.digest, 0, None, "training") for item in photos(count, 0, salt)]
    splits = assign_splits([*test, *training], 20, 20)
    assert splits[:4] == ["test"] * 4
    assert "test" not in splits[4:]
    assert splits[4:8] == ["training"] * 4  # the images that are in test, too, are left alone
    assert count < 7 or set(splits[4:]) == {"training", "validation"}


@given(datasets(), st.lists(st.sampled_from([None, *SPLITS]), min_size=60, max_size=60))
def test_any_mixture_of_given_splits_is_honoured(
    items: list[SplitItem], folders: list[str | None]
) -> None:
    mixed = [
        SplitItem(item.digest, item.label, item.group, folder)  # type: ignore[arg-type]
        for item, folder in zip(items, folders, strict=False)
    ]
    for item, split in zip(mixed, assign_splits(mixed, 10, 10), strict=True):
        assert item.given in (None, "training") or split == item.given


@pytest.mark.parametrize("shares", [(-1, 10), (10, -0.1), (50, 50), (99, 1), (math.nan, 10)])
def test_percentages_that_leave_nothing_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="together less than 100; received"):
        assign_splits(photos(3), *shares)


def test_no_items() -> None:
    assert assign_splits([], 10, 10) == []


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("rose_nohash_2.jpg", "rose"),
        ("rose_nohash_2_nohash_3.jpg", "rose"),
        ("rose.jpg", None),
        ("_nohash_1.jpg", ""),
    ],
)
def test_nohash_group(name: str, group: str | None) -> None:
    assert nohash_group(name) == group


def test_splits_of_known_images_are_these_for_ever() -> None:
    """Splits are a promise across versions: the position of a digest is pinned down here."""
    initials = "".join(split[1] for split in assign_splits(photos(24), 30, 30))
    assert initials == "aeeaaraerrrarerrreeerera"
