from __future__ import annotations

import unicodedata
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import SAMPLINGS, TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.sampling import (
    BLOCK_IMAGES,
    MIXED_BLOCKS,
    BalancedSampler,
    BlockSampler,
    ShuffledSampler,
    make_sampler,
    select_classes,
    select_training,
)
from retrain_cli.heads.training import train_head

label_lists = st.lists(st.integers(0, 5), min_size=1, max_size=60)


def test_balanced_gives_each_class_and_each_of_its_images_the_same_chance() -> None:
    labels = np.array([0] * 90 + [1] * 9 + [3])
    drawn = BalancedSampler(labels, seed=1).draw(300, 100).reshape(-1)
    classes = np.bincount(labels[drawn], minlength=4) / len(drawn)
    assert classes == pytest.approx([1 / 3, 1 / 3, 0, 1 / 3], abs=0.01)
    within = np.bincount(drawn)[90:99]
    assert within == pytest.approx(within.mean(), rel=0.15)


@given(n_images=st.integers(1, 40), rounds=st.integers(1, 4), seed=st.integers(0, 9))
def test_shuffled_shows_every_image_once_a_round(n_images: int, rounds: int, seed: int) -> None:
    drawn = ShuffledSampler(n_images, seed).draw(rounds, n_images)
    assert (np.sort(drawn, axis=1) == np.arange(n_images)).all()


@given(n_images=st.integers(1, 40_000), rounds=st.integers(1, 3), seed=st.integers(0, 9))
def test_blocks_show_every_image_once_a_round(n_images: int, rounds: int, seed: int) -> None:
    drawn = BlockSampler(n_images, seed).draw(rounds, n_images)
    assert (np.sort(drawn, axis=1) == np.arange(n_images)).all()


def test_blocks_are_of_neighbours_and_well_mixed() -> None:
    n_images = 3 * BLOCK_IMAGES * MIXED_BLOCKS
    drawn = BlockSampler(n_images, 0).draw(3, BLOCK_IMAGES * MIXED_BLOCKS)
    for mixture in drawn:
        assert len(np.unique(mixture // BLOCK_IMAGES)) == MIXED_BLOCKS
    batches = drawn.reshape(-1, 64) * 100 // n_images  # of 100 classes, one after the other
    classes = np.mean([len(np.unique(batch)) for batch in batches])
    at_random = 100 * (1 - 0.99**64)
    assert classes == pytest.approx(at_random, rel=0.05)


def test_a_head_learns_from_blocks_as_from_all_images_shuffled() -> None:
    """The images lie class after class, and one mixture holds a quarter of them."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(50, dtype=np.int32), 1300)
    centres = generator.normal(size=(50, 16)).astype(np.float32)
    vectors = centres[labels] + 1.2 * generator.normal(size=(len(labels), 16)).astype(np.float32)
    test = np.arange(len(labels)) % 5 == 0
    names = tuple(f"{number:02}" for number in range(50))
    training = np.flatnonzero(~test)
    data = HeadData(vectors, labels, names, training, np.empty(0, np.int64))
    right = {}
    for sampling in ("shuffled", "blocks"):
        config = TrainingConfig(steps=1500, learning_rate=0.05, eval_every=1500, sampling=sampling)
        scores = train_head(data, config).head.logits(vectors[test])
        right[sampling] = float((scores.argmax(axis=1) == labels[test]).mean())
    assert right["shuffled"] > 0.6
    assert right["blocks"] == pytest.approx(right["shuffled"], abs=0.01)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@given(labels=label_lists, cut=st.integers(1, 6))
def test_the_batches_do_not_depend_on_how_many_are_drawn_at_once(
    sampling: Any, labels: Any, cut: int
) -> None:
    labels = np.array(labels)
    whole = make_sampler(sampling, labels, 3).draw(7, 5)
    piecewise = make_sampler(sampling, labels, 3)
    pieces = [piecewise.draw(cut, 5), piecewise.draw(7 - cut, 5)]
    assert (np.concatenate(pieces) == whole).all()


@given(labels=label_lists, small=st.integers(1, 6), more=st.integers(0, 6), seed=st.integers(0, 9))
def test_fewer_examples_are_among_more(labels: Any, small: int, more: int, seed: int) -> None:
    labels = np.array(labels)
    training = np.flatnonzero(np.arange(len(labels)) % 4 != 1)
    few = select_training(labels, training, small, seed)
    many = select_training(labels, training, small + more, seed)
    assert set(few) <= set(many) <= set(training)
    available = np.bincount(labels[training], minlength=6)
    assert (np.bincount(labels[few], minlength=6) == np.minimum(available, small)).all()
    assert (np.diff(few) > 0).all()


def test_another_seed_chooses_other_examples() -> None:
    labels, training = np.zeros(1000, int), np.arange(1000)
    chosen = {tuple(select_training(labels, training, 5, seed)) for seed in range(5)}
    assert len(chosen) == 5


def test_all_examples_are_the_training_set_as_it_is() -> None:
    training = np.array([3, 1])
    assert select_training(np.zeros(4, int), training, None, 0) is training


def test_classes_are_kept_in_their_own_order() -> None:
    labels, names = select_classes(np.array([0, 1, 2, 1]), ["a", "b", "c"], ["c", "a"])
    assert names == ("a", "c")
    assert labels.tolist() == [0, -1, 1, -1]


def test_an_unknown_class_is_refused_with_those_that_come_close() -> None:
    with pytest.raises(ConfigError, match="'dasy' is none, but daisy"):
        select_classes(np.array([0, 1]), ["daisy", "rose"], ["dasy", "rose"])


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="two different classes"):
        select_classes(np.array([0, 1]), ["daisy", "rose"], ["rose", "rose"])


def test_classes_are_found_whatever_their_unicode_form() -> None:
    nfc, nfd = "café", unicodedata.normalize("NFD", "café")
    labels, kept = select_classes(np.array([0, 1, 2]), (nfd, "dog, brown", "owl"), (nfc, "owl"))
    assert kept == (nfd, "owl")
    assert labels.tolist() == [0, -1, 1]
    with pytest.raises(ConfigError, match="a name with a comma stands in double quotes"):
        select_classes(np.array([0, 1]), ("dog, brown", "owl"), ("dog", "brown", "owl"))
