from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch import choosing
from retrain_cli.heads.full_batch.choosing import choose_optimizer, deal_folds
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow, TrainedHead
from retrain_cli.heads.training import train_head

CONFIG = TrainingConfig(optimizer="auto", steps=50)


def make_data(per_class: int = 12, n_classes: int = 3, width: int = 8) -> HeadData:
    generator = np.random.default_rng(1)
    labels = np.tile(np.arange(n_classes, dtype=np.int32), per_class)
    vectors = generator.normal(size=(n_classes, width))[labels]
    vectors += 0.7 * generator.normal(size=vectors.shape)
    names = tuple(f"class {number}" for number in range(n_classes))
    every, none = np.arange(len(labels)), np.empty(0, np.int64)
    return HeadData(vectors.astype(np.float32), labels, names, every, none)


def oracle(best: str) -> Callable[..., TrainedHead]:
    """Heads that know the classes by one of their numbers, or not."""

    def train(data: HeadData, config: TrainingConfig, initial: Head | None) -> TrainedHead:
        weights = np.zeros((data.width, data.n_classes), np.float32)
        if config.optimizer == best:
            weights[: data.n_classes] = np.eye(data.n_classes)
        head = Head(data.class_names, weights, np.zeros(data.n_classes, np.float32))
        return TrainedHead(head, (HistoryRow(1, 0.0, 1.0),), 1, "steps")

    return train


@pytest.mark.parametrize("best", ["lbfgs", "adam"])
def test_the_best_is_picked(best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_ridge_scores", lambda *_: np.zeros((36, 3)))
    data = make_data()
    known = np.random.default_rng(2).normal(size=data.bottlenecks.shape).astype(np.float32)
    known[:, :3] = np.eye(3)[data.labels] + 0.5 * known[:, :3]
    choice = choose_optimizer(replace(data, bottlenecks=known), CONFIG, oracle(best), None)
    assert choice.optimizer == best
    assert choice.log_losses[best] == min(choice.log_losses.values())
    assert choice.n_images == 36


def test_ridge_is_picked_where_the_others_know_nothing() -> None:
    choice = choose_optimizer(make_data(), CONFIG, oracle("none"), None)
    assert choice.optimizer == "ridge"
    assert "adam" not in choice.log_losses, "ridge is so far ahead that it is not tried"


def test_auto_trains_what_it_picks_and_says_so() -> None:
    data = make_data()
    trained = train_head(data, CONFIG)
    assert trained.fit is not None
    assert set(trained.fit.log_losses) == {"lbfgs", "ridge", "adam"}
    picked: Any = trained.fit.picked
    assert picked in trained.fit.log_losses
    again = train_head(data, CONFIG)
    np.testing.assert_array_equal(again.head.weights, trained.head.weights)
    if picked == "ridge":
        alone = train_head(data, replace(CONFIG, optimizer="ridge"))
        np.testing.assert_array_equal(alone.head.weights, trained.head.weights)


def test_folds_keep_groups_together_and_classes_even() -> None:
    data = make_data(per_class=30)
    groups = np.arange(len(data.labels)) // 6 * 3 + data.labels  # pairs of a class
    data = replace(data, groups=groups)
    folds = deal_folds(data.training, data, seed=0)
    for group in np.unique(groups):
        assert len(set(folds[groups == group].tolist())) == 1
    for label in range(3):
        counts = np.bincount(folds[data.labels == label], minlength=3)
        assert counts.max() - counts.min() <= 2


def test_a_class_that_would_be_gone_is_never_held_out() -> None:
    data = make_data()
    groups = np.where(data.labels == 1, 0, np.arange(len(data.labels)))
    folds = deal_folds(data.training, replace(data, groups=groups), seed=0)
    assert set(folds[data.labels == 1].tolist()) == {-1}
    assert set(folds[data.labels != 1].tolist()) == {0, 1, 2}


def test_one_photo_in_each_class_leaves_nothing_to_choose_by() -> None:
    data = make_data(per_class=1)
    assert train_head(data, CONFIG).head.n_classes == 3


def test_of_very_many_photos_some_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_MOST_IMAGES", 20)
    data = make_data(per_class=30)
    assert choose_optimizer(data, CONFIG, oracle("lbfgs"), None).n_images == 18  # 6 of each


def test_an_interrupt_in_between_is_no_choice() -> None:
    def train(*_: object) -> TrainedHead:
        return replace(oracle("lbfgs")(make_data(), CONFIG, None), stopped_by="interrupt")

    with pytest.raises(KeyboardInterrupt):
        choose_optimizer(make_data(), CONFIG, train, None)


def test_lbfgs_goes_on_with_a_head_of_a_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_ridge_scores", lambda *one: np.zeros(((one[2] >= 0).sum(), 3)))
    trained: list[Head] = []

    def train(data: HeadData, config: TrainingConfig, initial: Head | None) -> TrainedHead:
        result = train_head(data, config, initial=initial)
        trained.append(result.head)
        return result

    data = make_data()
    choice = choose_optimizer(data, CONFIG, train, None)
    assert choice.optimizer == "lbfgs"
    assert any(choice.start is head for head in trained)
    settings = replace(CONFIG, optimizer="lbfgs", l2=choice.l2)
    steps = replace(settings, steps=choice.steps)
    soon = train_head(data, steps, initial=choice.start).history[-1].loss
    end = train_head(data, replace(settings, steps=1_000)).history[-1].loss
    assert soon == pytest.approx(end, abs=1e-4)
    monkeypatch.setattr(choosing, "_MOST_IMAGES", 20)
    assert choose_optimizer(data, CONFIG, train, None).steps > choice.steps, "of many it saw few"
