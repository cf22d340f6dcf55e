"""Settings are judged by photos that trained nothing, and never by those for the test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss

from retrain_cli.datasets.splits import SplitItem
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.studies.search.judging import SearchData, rank_key
from retrain_cli.studies.trial import TrialContext

CONTEXT = TrialContext(lambda progress: None)
CONFIG = TrainingConfig(steps=40, eval_every=20, batch_size=20, learning_rate=0.05)
MakeData = Callable[..., Any]


def blind(found: Any, cv: int | None, data: HeadData | None = None) -> SearchData:
    items = [
        SplitItem(digest.tobytes(), int(label), None, None)
        for digest, label in zip(found.images.digest, found.data.labels, strict=True)
    ]
    return SearchData.make(data or found.data, found.images, items, cv)


@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "ridge"])
def test_test_photos_change_nothing(make_data: MakeData, cv: int | None, optimizer: Any) -> None:
    """Other labels and other vectors of test photos: the same figures, to the last digit."""
    found = make_data(2, 1, spread=1.5)
    is_test = found.images.split == 2
    labels, vectors = found.data.labels.copy(), found.data.bottlenecks.copy()
    labels[is_test] = (labels[is_test] + 1) % 3
    vectors[is_test] = 1e6
    other = replace(found.data, labels=labels, bottlenecks=vectors)
    assert is_test.any()
    config = replace(CONFIG, optimizer=optimizer)
    known, corrupted = (blind(found, cv, data) for data in (found.data, other))
    assert known.fingerprint == corrupted.fingerprint
    first = known.judge(config, CONTEXT, alone=True)
    assert corrupted.judge(config, CONTEXT, alone=True) == first
    assert 0 < first["top1"] <= 1


def test_validation_judges_as_scikit_learn_does(make_data: MakeData) -> None:
    found = make_data(2, 1, spread=1.5)
    judged = blind(found, None).judge(CONFIG, CONTEXT, alone=True)
    trained = train_head(found.data, CONFIG)
    head = with_fitted_scores(trained, found.data, 0).head
    rows = found.data.validation
    probabilities = head.probabilities(found.data.bottlenecks[rows]).astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    wanted = log_loss(found.data.labels[rows], probabilities, labels=range(3))
    assert judged["log_loss"] == pytest.approx(wanted, rel=1e-5)
    assert judged["top1"] == np.mean(probabilities.argmax(axis=1) == found.data.labels[rows])


def test_folds_hold_out_every_photo_that_is_not_for_the_test(make_data: MakeData) -> None:
    found = make_data(2, 1)
    data = blind(found, 4)
    assert data.folds is not None
    is_test = found.images.split == 2
    assert (data.folds.folds[is_test] == -1).all()
    assert (data.folds.folds[~is_test] >= 0).all()
    assert data.n_judging == np.count_nonzero(~is_test)
    for fold in range(4):
        part = data.folds.data(data.data, fold, CONFIG)
        used = {*part.training.tolist(), *part.validation.tolist()}
        assert not used & set(np.flatnonzero(is_test).tolist())
        assert not used & set(np.flatnonzero(data.folds.folds == fold).tolist())


def test_the_spare_photos_judge_and_train_nothing(make_data: MakeData) -> None:
    """ridge trains on validation photos elsewhere; here these judge it."""
    found = make_data(2, 1, spread=1.5)
    spare = replace(found.data, spare=found.data.validation)
    config = replace(CONFIG, optimizer="ridge")
    figures = [blind(found, None, data).judge(config, CONTEXT, alone=True)
               for data in (found.data, spare)]  # fmt: skip
    assert figures[0] == figures[1]


def test_a_training_that_diverges_is_told(make_data: MakeData) -> None:
    data = blind(make_data(2, 1), None)
    config = replace(CONFIG, learning_rate=1e38)
    outcome = data.judge(config, CONTEXT, alone=True)
    assert "lower --learning-rate" in outcome["diverged"]


def test_views_are_as_many_as_the_settings_say(make_data: MakeData) -> None:
    found = make_data(2, 1, spread=1.5)
    plain = found.data.bottlenecks
    views = np.concatenate([plain, plain + 1, plain - 1])
    data = blind(found, None, replace(found.data, views=views))
    fewer = blind(found, None, replace(found.data, views=views[: 2 * len(plain)]))
    judged = {
        count: data.judge(replace(CONFIG, views=count), CONTEXT, alone=True) for count in (0, 1, 2)
    }
    assert judged[0] == blind(found, None).judge(CONFIG, CONTEXT, alone=True)
    assert judged[1] == fewer.judge(replace(CONFIG, views=1), CONTEXT, alone=True)
    assert judged[2] != judged[1] != judged[0]


def test_nothing_to_judge_by(make_data: MakeData) -> None:
    found = make_data(2, 1)
    without = replace(found.data, validation=found.data.validation[:0])
    with pytest.raises(DatasetError, match="chooses by validation photos"):
        blind(found, None, without)
    assert blind(found, 2, without).n_judging
    with pytest.raises(ConfigError, match="at least 2 folds"):
        blind(found, 1)


def test_ties_are_broken_by_the_other_figure() -> None:
    worse, better = {"log_loss": 0.5, "top1": 0.8}, {"log_loss": 0.5, "top1": 0.9}
    assert rank_key("log-loss", better) < rank_key("log-loss", worse)
    sure, unsure = {"log_loss": 0.4, "top1": 0.8}, {"log_loss": 0.5, "top1": 0.9}
    assert rank_key("log-loss", sure) < rank_key("log-loss", unsure)
    assert rank_key("top1", unsure) < rank_key("top1", sure)
    assert rank_key("top1", sure) < rank_key("top1", worse)
