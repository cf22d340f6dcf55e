from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from uneven_classes import uneven

from retrain_cli.errors import ConfigError, MissingExtraError
from retrain_cli.heads.balancing import smote
from retrain_cli.heads.balancing.resampling import resampled
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head

ADDING = ("oversample", "smote", "views")


def made_by(balance: Any, data: HeadData, **settings: Any) -> HeadData:
    return resampled(data, TrainingConfig(balance=balance, **settings), None)


def training_rows(data: HeadData) -> set[bytes]:
    return {row.tobytes() for row in data.bottlenecks[data.training]}


@pytest.mark.parametrize("balance", ADDING)
def test_all_classes_come_to_have_as_many_as_the_largest(balance: str) -> None:
    data = made_by(balance, uneven(20, 7, 3, 1, n_views=2))
    largest = 20 * (3 if balance != "views" else 1)  # else views are training images of all
    assert np.bincount(data.labels[data.training]).tolist() == [largest] * 4


@pytest.mark.parametrize("balance", ADDING)
def test_validation_is_what_it_was_and_trains_nothing(balance: str) -> None:
    before = uneven(20, 7, 3, 1, n_views=2)
    data = made_by(balance, before)
    np.testing.assert_array_equal(
        data.bottlenecks[data.validation], before.bottlenecks[before.validation]
    )
    np.testing.assert_array_equal(data.labels[data.validation], before.labels[before.validation])
    kept_aside = {row.tobytes() for row in before.bottlenecks[before.validation]}
    assert not training_rows(data) & kept_aside


def test_copies_are_spread_evenly() -> None:
    before = uneven(20, 7)
    data = made_by("oversample", before)
    rows, times = np.unique(data.training, return_counts=True)
    assert set(rows) == set(before.training)
    small = times[before.labels[rows] == 1]
    assert small.sum() == 20
    assert np.ptp(small) <= 1
    assert (times[before.labels[rows] == 0] == 1).all()


def test_small_classes_take_one_view_of_each_photo_before_another() -> None:
    before = uneven(20, 7, n_views=2)
    data, n_images = made_by("views", before), len(before.labels)
    of_small = data.training[data.labels[data.training] == 1]
    numbers = np.bincount(of_small // n_images, minlength=3)
    assert numbers.tolist() == [7, 7, 6]
    assert (data.training[data.labels[data.training] == 0] < n_images).all()
    assert len(np.unique(of_small)) == 20
    photos = before.training[before.labels[before.training] == 1]
    assert set(of_small % n_images) == set(photos)


def test_views_that_are_too_few_come_again_after_the_photos() -> None:
    data = made_by("views", uneven(20, 4, n_views=1))
    of_small = data.training[data.labels[data.training] == 1]
    times = np.unique(of_small, return_counts=True)[1]
    assert len(times) == 8
    assert np.ptp(times) <= 1


def test_views_have_to_be_there() -> None:
    with pytest.raises(ConfigError, match=r"none was computed: run `retrain bottlenecks`"):
        made_by("views", uneven(5, 2))


@pytest.mark.parametrize("seed", [0, 7])
def test_mixtures_are_those_of_imbalanced_learn(seed: int) -> None:
    before = uneven(30, 11, 6)
    data = made_by("smote", before, seed=seed)
    vectors, labels = SMOTE(random_state=seed).fit_resample(
        before.bottlenecks[before.training], before.labels[before.training]
    )
    np.testing.assert_array_equal(data.bottlenecks[data.training], vectors)
    np.testing.assert_array_equal(data.labels[data.training], labels)


def test_a_class_of_fewer_is_mixed_with_all_others_of_it() -> None:
    before = uneven(30, 4)
    data = made_by("smote", before, seed=2)
    vectors, _ = SMOTE(k_neighbors=3, random_state=2).fit_resample(
        before.bottlenecks[before.training], before.labels[before.training]
    )
    np.testing.assert_array_equal(data.bottlenecks[data.training], vectors)


def test_a_single_photo_is_copied() -> None:
    before = uneven(9, 1)
    data = made_by("smote", before)
    (photo,) = before.bottlenecks[before.training[before.labels[before.training] == 1]]
    added = data.bottlenecks[data.training[data.labels[data.training] == 1]]
    assert len(added) == 9
    assert (added == photo).all()


def test_mixtures_are_of_finite_numbers_in_memory() -> None:
    with pytest.raises(ConfigError, match="makes its mixtures in memory"):
        resampled(uneven(9, 3), TrainingConfig(balance="smote"), 100)


def test_without_imbalanced_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "imblearn.over_sampling", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'retrain-cli\[balance\]'"):
        smote.add_mixtures(uneven(9, 3), 0, None)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("balance", ADDING)
@pytest.mark.parametrize("normalise", ["none", "standardise"])
def test_heads_are_trained_on_them(optimizer: Any, balance: Any, normalise: Any) -> None:
    data = uneven(20, 7, 3, n_views=2)
    config = TrainingConfig(
        balance=balance, optimizer=optimizer, steps=60, eval_every=20, normalise=normalise
    )
    first, again = (train_head(data, config).head for _ in range(2))
    np.testing.assert_array_equal(first.weights, again.weights)
    plain = train_head(data, replace(config, balance="none")).head
    assert not np.array_equal(first.weights, plain.weights)
