from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.studies.protocols import balance
from retrain_cli.studies.protocols.balance import BalanceStudy
from retrain_cli.studies.study import StudySettings
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.thinning import Thinning

QUICK = StudySettings(2, TrainingConfig(optimizer="lbfgs", steps=20))
WAYS = ["none", "sampling", "oversample", "smote", "prior"]


@pytest.fixture
def data(make_data: Callable[..., StudyData]) -> StudyData:
    return make_data(3, 4, 40, spread=1.2)


def with_views(data: StudyData) -> StudyData:
    vectors = data.data.bottlenecks
    noise = np.random.default_rng(0).normal(size=(2, *vectors.shape)).astype(np.float32)
    views = np.concatenate([vectors, vectors + noise[0], vectors + noise[1]])
    return replace(data, data=replace(data.data, views=views))


def test_each_way_is_there_and_compared_in_pairs(data: StudyData, conduct: Any) -> None:
    result = conduct(BalanceStudy(4), data, QUICK)
    main, gains = result.tables
    assert [row[0] for row in main.rows] == WAYS
    means = {row[0]: row[1].value for row in main.rows}
    for name, over_none, over_sampling in gains.rows:
        assert (over_none is None) == (name == "none")
        assert (over_sampling is None) == (name == "sampling")
        if over_none:
            assert over_none.value == pytest.approx(means[name] - means["none"])
    assert any("no views" in note or "none was computed" in note for note in result.notes)
    assert "3 of 7 classes with 6 training photos, the others with 24" in result.headline


def test_macro_f1_is_scikit_learns_by_the_head_that_train_leaves(
    data: StudyData, conduct: Any
) -> None:
    settings = replace(QUICK, repeats=1)
    result = conduct(BalanceStudy(4), data, settings)
    measured = {row[0]: row[1:4] for row in result.tables[0].rows}
    config = settings.config(0, balance="prior")
    thinning = Thinning(4, None)
    part = thinning.apply(data.select(config), 0)
    head = with_fitted_scores(train_head(part.data, config), part.data, 0).head
    rows = part.rows("test")
    answers = head.logits(part.data.bottlenecks[rows]).argmax(axis=1)
    each = f1_score(part.data.labels[rows], answers, average=None)
    small = thinning.small_classes(data, 0)
    expected = [each.mean(), each[small].mean(), np.delete(each, small).mean()]
    assert [mean.value for mean in measured["prior"]] == pytest.approx(expected)


def test_views_take_part_where_there_are_any(data: StudyData) -> None:
    names = {trial.condition for trial in BalanceStudy(4).trials(with_views(data), QUICK)}
    assert names == {*WAYS, "views", "sampling + views", "prior + views"}
    for trial in BalanceStudy(4).trials(with_views(data), QUICK):
        assert (trial.config.views == 0) == ("views" not in trial.condition)


def test_what_adds_photos_needs_one_that_does_not_leave_them_out(data: StudyData) -> None:
    settings = replace(QUICK, training=TrainingConfig(optimizer="ridge"))
    names = {trial.condition for trial in BalanceStudy(4).trials(data, settings)}
    assert names == {"none", "sampling", "prior"}


def test_without_imbalanced_learn(
    data: StudyData, conduct: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balance, "find_spec", lambda name: None)
    result = conduct(BalanceStudy(4), data, QUICK)
    assert [row[0] for row in result.tables[0].rows] == [one for one in WAYS if one != "smote"]
    assert "smote is left out: pip install 'retrain-cli[balance]'" in result.notes


@pytest.mark.parametrize("most", [None, 20])
def test_half_of_the_classes_are_made_small_and_no_test_photo_goes(
    data: StudyData, most: int | None
) -> None:
    whole = data.select(QUICK.config(0))
    thinning = Thinning(5, most)
    part = thinning.apply(whole, 0)
    small = thinning.small_classes(data, 0)
    expected = np.full(7, most or 24)
    expected[small] = round((most or 24) / 5)
    np.testing.assert_array_equal(part.n_training(), expected)
    validation = np.bincount(part.data.labels[part.data.validation], minlength=7)
    assert set(validation[small]) == {round(8 * expected[small[0]] / 24)}
    np.testing.assert_array_equal(part.rows("test"), whole.rows("test"))
    assert set(part.data.training) <= set(whole.data.training)
    assert set(part.data.validation) <= set(whole.data.validation)
    assert not np.array_equal(small, thinning.small_classes(data, 1))


@pytest.mark.parametrize(
    ("study", "error", "said"),
    [
        (BalanceStudy(1), ConfigError, "at least 2, not 1"),
        (BalanceStudy(float("nan")), ConfigError, "at least 2"),
        (BalanceStudy(4, 0), ConfigError, "at least 1"),
        (BalanceStudy(20), DatasetError, "takes 2 of each class"),
        (BalanceStudy(2, 90), DatasetError, "takes 45 of each class; class 00 has 24"),
    ],
)
def test_what_does_not_allow_it(
    data: StudyData, study: BalanceStudy, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        study.trials(data, QUICK)


def test_a_class_without_a_test_photo(data: StudyData) -> None:
    split = data.images.split.copy()
    split[(data.data.labels == 2) & (split == 2)] = 1
    with pytest.raises(DatasetError, match="there is none of class 02"):
        BalanceStudy(4).trials(replace(data, images=replace(data.images, split=split)), QUICK)
