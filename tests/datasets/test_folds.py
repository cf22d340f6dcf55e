"""Folds: even by class, together for duplicates and groups, stable."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from retrain_cli.datasets.folds import NEVER, assign_folds, fold_validation
from retrain_cli.datasets.splits import SplitItem, find_components
from retrain_cli.errors import ConfigError, DatasetError


def item(number: int, label: int = 0, group: str | None = None, given: Any = None) -> SplitItem:
    digest = hashlib.blake2b(str(number).encode(), digest_size=16).digest()
    return SplitItem(digest, label, group, given)


@st.composite
def datasets(draw: st.DrawFn) -> list[SplitItem]:
    """Classes with duplicates, also across classes, groups, and given test images."""
    one = st.builds(
        item,
        st.integers(0, 60),
        st.integers(0, 4),
        st.one_of(st.none(), st.sampled_from("abcd")),
        st.sampled_from([None, None, None, "test"]),
    )
    return draw(st.lists(one, min_size=8, max_size=80))


@given(datasets(), st.integers(2, 6), st.randoms())
def test_folds_keep_together_what_belongs_together(items: Any, n_folds: Any, order: Any) -> None:
    try:
        folds = assign_folds(items, n_folds)
    except DatasetError:
        assume(False)
    kept = [row for row, one in enumerate(items) if one.given != "test"]
    assert all(folds[row] == NEVER for row, one in enumerate(items) if one.given == "test")
    component, _ = find_components([items[row] for row in kept])
    of_component = defaultdict(set)
    for row, number in zip(kept, component.tolist(), strict=True):
        of_component[number].add(int(folds[row]))
    assert all(len(found) == 1 for found in of_component.values())
    assert set(folds[folds != NEVER].tolist()) == set(range(n_folds))
    shuffled = list(range(len(items)))
    order.shuffle(shuffled)
    again = assign_folds([items[row] for row in shuffled], n_folds)
    assert again.tolist() == [folds[row] for row in shuffled]


@given(datasets(), st.integers(2, 6))
def test_no_fold_takes_a_whole_class(items: Any, n_folds: Any) -> None:
    try:
        folds = assign_folds(items, n_folds)
    except DatasetError:
        assume(False)
    for label in {one.label for one in items if one.given != "test"}:
        own = [
            int(fold)
            for fold, one in zip(folds, items, strict=True)
            if one.label == label and one.given != "test"
        ]
        assert len(set(own)) > 1 or set(own) == {NEVER}


@given(st.lists(st.integers(2, 40), min_size=1, max_size=6), st.integers(2, 10))
def test_each_class_is_spread_evenly(sizes: Any, n_folds: Any) -> None:
    assume(max(sizes) >= n_folds)
    items = [item(1000 * label + n, label) for label, size in enumerate(sizes) for n in range(size)]
    folds = assign_folds(items, n_folds)
    for label, size in enumerate(sizes):
        counts = Counter(
            int(fold) for fold, one in zip(folds, items, strict=True) if one.label == label
        )
        assert set(counts) <= set(range(n_folds))
        shares = [counts[fold] for fold in range(n_folds)]
        assert max(shares) - min(shares) <= 1, (size, shares)


def test_photos_that_are_added_move_few_of_the_others() -> None:
    items = [item(n, n % 20) for n in range(2000)]
    before = assign_folds(items, 5)
    after = assign_folds(items + [item(5000 + n, n % 20) for n in range(100)], 5)
    assert (before != after[:2000]).mean() < 0.2  # by rank in the class it would be 0.8
    assert (before != after[:2000]).mean() > 0


def test_large_groups_leave_the_rest_even() -> None:
    items = [item(n, 0, "film") for n in range(10)] + [item(100 + n, 0) for n in range(40)]
    folds = assign_folds(items, 5)
    film = set(folds[:10].tolist())
    assert len(film) == 1
    assert Counter(folds.tolist()) == dict.fromkeys(range(5), 10)


def test_a_class_of_one_group_is_always_trained_on() -> None:
    items = [item(n, 0) for n in range(20)] + [item(100 + n, 1, "one") for n in range(5)]
    folds = assign_folds(items, 4)
    assert set(folds[20:].tolist()) == {NEVER}
    assert NEVER not in folds[:20]


@pytest.mark.parametrize("n_folds", [1, 0, -3])
def test_too_few_folds(n_folds: int) -> None:
    with pytest.raises(ConfigError, match="at least 2 folds"):
        assign_folds([item(n) for n in range(9)], n_folds)


def test_too_few_photos() -> None:
    with pytest.raises(DatasetError, match="fill only 4: use fewer folds"):
        assign_folds([item(n) for n in range(4)], 5)
    with pytest.raises(DatasetError, match="fill only 0"):
        assign_folds([item(n, given="test") for n in range(9)], 3)


def test_validation_stays_out_of_the_fold_and_leaves_each_class_an_image() -> None:
    random.seed(3)
    labels = np.array([0, 0, 0, 1, 1, 1], np.int32)
    groups = np.arange(6)
    wanted = np.array([1, 0, 0, 1, 0, 0], bool)
    held_out = np.array([0, 1, 0, 0, 1, 1], bool)
    # Class 1 has but its validation image left: that one trains.
    chosen = fold_validation(held_out, wanted, labels, groups)
    assert chosen.tolist() == [True, False, False, False, False, False]
    # And what is grouped with it goes along, for groups stay together.
    groups[0] = groups[3]
    assert not fold_validation(held_out, wanted, labels, groups).any()
