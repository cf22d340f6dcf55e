"""Source, target and test part: whole groups, every class, the wanted share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.similarity.class_trees import Clustering
from retrain_cli.studies.source_target.scheme_tables import shown_count
from retrain_cli.studies.source_target.sides import (
    PhotoPool,
    draw_test,
    first_level,
    second_level,
)

HOW = Clustering()


def photos_of(*classes: tuple[int, ...], groups: Any = None) -> PhotoPool:
    """Each class is made of clouds of so many photos."""
    generator = np.random.default_rng(0)
    vectors, labels = [], []
    for label, sizes in enumerate(classes):
        for number, size in enumerate(sizes):
            centre = 1000 * label + (0, 10, 100, 112)[number]
            vectors.append(centre + generator.normal(size=(size, 5)))
            labels += [label] * size
    names = tuple(chr(ord("a") + label) for label in range(len(classes)))
    return PhotoPool(
        np.concatenate(vectors).astype(np.float32), np.array(labels, np.int32), names, groups
    )


def mix_of(photos: PhotoPool) -> Any:
    return first_level(photos, photos.grow_trees(HOW))


def test_larger_nodes_are_the_source() -> None:
    photos = photos_of((10, 4), (6, 3))
    mix = mix_of(photos)
    assert mix.source.tolist() == [*range(10), *range(14, 20)]
    assert mix.target.tolist() == [10, 11, 12, 13, 20, 21, 22]
    assert mix.nodes == ("a B", "b B")
    assert mix.ratios(photos) == (0.6, 0.75)


def test_all_combinations_of_the_second_level() -> None:
    photos = photos_of((10, 8, 5, 4), (9, 7, 6, 3))
    mixes, total, unusable = second_level(photos, photos.grow_trees(HOW), 16, seed=0)
    assert (len(mixes), total, unusable) == (16, 16, 0)
    assert len({mix.name for mix in mixes}) == 16
    for mix in mixes:
        assert sorted([*mix.source, *mix.target]) == [*range(52)]


def test_of_too_many_combinations_some_are_drawn_by_the_seed() -> None:
    photos = photos_of(*[(10, 8, 5, 4)] * 3)
    trees = photos.grow_trees(HOW)
    mixes, total, _ = second_level(photos, trees, 16, seed=1)
    assert (len(mixes), total) == (16, 64)
    again, _, _ = second_level(photos, trees, 16, seed=1)
    assert [one.name for one in mixes] == [one.name for one in again]
    other, _, _ = second_level(photos, trees, 16, seed=2)
    assert [one.name for one in mixes] != [one.name for one in other]


def test_hundreds_of_classes_have_more_combinations_than_a_float_can_tell() -> None:
    photos = photos_of(*[(4, 3, 2, 2)] * 600)
    mixes, total, unusable = second_level(photos, photos.grow_trees(HOW), 3, seed=0)
    assert (len(mixes) + unusable, total) == (3, 4**600)
    assert shown_count(total) == "some 10^361"
    assert shown_count(4**9_000) == "some 10^5,418"
    assert shown_count(4**9) == "262,144"


def test_combinations_with_a_cluster_of_one_photo_are_left_out() -> None:
    photos = photos_of((10, 4), (9, 1, 4))
    mixes, total, unusable = second_level(photos, photos.grow_trees(HOW), 100, seed=0)
    assert unusable
    assert len(mixes) + unusable == total


def test_a_target_of_one_photo_is_refused() -> None:
    with pytest.raises(DatasetError, match="of b it has one photo"):
        mix_of(photos_of((10, 4), (9, 1)))


def test_a_target_of_one_group_is_refused() -> None:
    groups = np.arange(27)
    groups[[23, 24, 25, 26]] = 99
    with pytest.raises(DatasetError, match="of b it has one group of 4 photos"):
        mix_of(photos_of((10, 4), (9, 4), groups=groups))


def test_a_class_that_its_groups_take_from_the_target_is_named() -> None:
    groups = np.arange(28)
    groups[[0, 1, 2, 3, 4, 5, 24, 25]] = 77  # of a's larger node and of b's smaller one
    groups[[6, 7, 8, 9, 26, 27]] = 78
    photos = photos_of((10, 5), (9, 4), groups=groups)
    with pytest.raises(DatasetError, match="each class must be in the target, and b is not"):
        mix_of(photos)


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(DatasetError, match="at least two classes, and there is 1"):
        photos_of((10, 4)).grow_trees(HOW)


@pytest.mark.parametrize("seed", range(5))
def test_the_test_part_is_the_share_of_each_class(seed: int) -> None:
    photos = photos_of((30, 20), (40, 10))
    mix = mix_of(photos)
    train, test = draw_test(photos, mix, 0.3, seed)
    assert sorted([*train, *test]) == mix.target.tolist()
    assert photos.counts(test).tolist() == [6, 3]
    assert draw_test(photos, mix, 0.3, seed)[1].tolist() == test.tolist()


def test_the_next_run_draws_another_test_part() -> None:
    photos = photos_of((30, 20), (40, 10))
    mix = mix_of(photos)
    tests = [tuple(draw_test(photos, mix, 0.3, seed)[1].tolist()) for seed in range(5)]
    assert len(set(tests)) == 5


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_not_torn_between_train_and_test(seed: int) -> None:
    groups = np.arange(100) // 4
    photos = photos_of((30, 20), (40, 10), groups=groups)
    mix = mix_of(photos)
    train, test = draw_test(photos, mix, 0.3, seed)
    assert not {*groups[train]} & {*groups[test]}
    for label in (0, 1):
        assert photos.counts(train)[label]
        assert photos.counts(test)[label]


@pytest.mark.parametrize("share", [0.01, 0.99])
def test_two_photos_of_a_class_are_one_each(share: float) -> None:
    photos = photos_of((9, 2), (9, 2))
    train, test = draw_test(photos, mix_of(photos), share, 0)
    assert photos.counts(train).tolist() == [1, 1]
    assert photos.counts(test).tolist() == [1, 1]


@pytest.mark.parametrize("share", [0.0, 1.0, -1, float("nan")])
def test_a_share_is_between_the_ends(share: float) -> None:
    photos = photos_of((9, 2), (9, 2))
    with pytest.raises(ConfigError, match="test_percentage"):
        draw_test(photos, mix_of(photos), share, 0)
