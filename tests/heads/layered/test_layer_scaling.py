"""Several layers side by side: the head takes over their scale, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch import layer_choice
from retrain_cli.heads.full_batch.layer_choice import FOLDS, JudgedSet, choose_layers
from retrain_cli.heads.layered.normalising import fit_layer_scaling
from retrain_cli.heads.training import train_head

WIDTHS = (3, 6, 4)
LBFGS = TrainingConfig(optimizer="lbfgs", steps=40)
RIDGE = TrainingConfig(optimizer="ridge")
HIDDEN = TrainingConfig(hidden=(8,), steps=50)
COSINE = TrainingConfig(head="cosine", steps=50)


def make_data(
    telling: tuple[float, ...] = (0.3, 2.0, 0.3), scales: tuple[float, ...] = (100.0, 1.0, 0.01)
) -> HeadData:
    """Three layers; how far each tells three classes apart, and how large its numbers are."""
    generator = np.random.default_rng(5)
    labels = np.repeat(np.arange(3, dtype=np.int32), 30)
    parts = []
    for width, gap, scale in zip(WIDTHS, telling, scales, strict=True):
        centres = gap * generator.normal(size=(3, width))
        noise = generator.normal(size=(len(labels), width))
        parts.append(scale * (7 + centres[labels] + noise))
    vectors = np.concatenate(parts, axis=1).astype(np.float32)
    places = np.arange(len(labels))
    training, validation = np.flatnonzero(places % 3 != 2), np.flatnonzero(places % 6 == 2)
    return HeadData(vectors, labels, ("a", "b", "c"), training, validation, layer_widths=WIDTHS)


def test_each_layer_is_scaled_by_the_training_photos_alone() -> None:
    data = make_data()
    spoilt = data.bottlenecks.copy()
    spoilt[data.validation] = 1e6
    scaling = fit_layer_scaling(replace(data, bottlenecks=spoilt))
    rows = scaling(data.bottlenecks[data.training])
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    for part in np.split(rows, np.cumsum(WIDTHS)[:-1], axis=1):
        assert np.mean(part**2) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("config", [LBFGS, RIDGE, HIDDEN, COSINE], ids=str)
def test_the_head_scores_as_the_one_that_was_trained(config: TrainingConfig) -> None:
    data = make_data()
    scaled = fit_layer_scaling(data)(data.bottlenecks)
    head = train_head(replace(data, bottlenecks=scaled, layer_widths=()), config).head
    ours = train_head(data, config).head
    np.testing.assert_allclose(ours.logits(data.bottlenecks), head.logits(scaled), atol=4e-3)


def test_views_are_scaled_with_their_photos() -> None:
    data = make_data()
    views = np.concatenate([data.bottlenecks, data.bottlenecks + 0.1])
    both = replace(data, bottlenecks=views[: len(data.labels)], views=views)
    expanded = both.with_views()
    assert expanded.layer_widths == WIDTHS
    np.testing.assert_array_equal(
        train_head(both, LBFGS).head.weights, train_head(expanded, LBFGS).head.weights
    )


def test_one_length_of_several_layers_is_refused() -> None:
    with pytest.raises(ConfigError, match="the largest would be all of it"):
        train_head(make_data(), replace(LBFGS, normalise="l2"))


def test_a_scale_that_is_a_layers_own_does_not_count() -> None:
    """Without one, the layer of the largest numbers would be all that a penalty leaves."""
    small, equal = make_data(), make_data(scales=(1.0, 1.0, 1.0))
    first, second = (train_head(data, LBFGS).head for data in (small, equal))
    ours, theirs = (
        head.probabilities(data.bottlenecks) for head, data in ((first, small), (second, equal))
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_a_head_is_continued_where_it_was() -> None:
    data = make_data()
    start = train_head(data, LBFGS).head
    on = train_head(
        data,
        TrainingConfig(optimizer="sgd", learning_rate=1e-9, steps=1, eval_every=1),
        initial=start,
    ).head
    np.testing.assert_allclose(
        on.probabilities(data.bottlenecks), start.probabilities(data.bottlenecks), atol=1e-3
    )


def test_a_layer_that_does_not_vary_is_no_division_by_zero() -> None:
    data = make_data()
    vectors = data.bottlenecks.copy()
    vectors[:, : WIDTHS[0]] = 3
    head = train_head(replace(data, bottlenecks=vectors), LBFGS).head
    assert np.isfinite(head.weights).all()


def test_one_layer_alone_is_trained_on_as_it_is() -> None:
    data = make_data()
    plain, single = replace(data, layer_widths=()), replace(data, layer_widths=(data.width,))
    np.testing.assert_array_equal(
        train_head(plain, LBFGS).head.weights, train_head(single, LBFGS).head.weights
    )


def test_the_layer_that_tells_most_is_chosen() -> None:
    choice = choose_layers(make_data(), WIDTHS, 0)
    assert 1 in choice.taken.layers
    gain, error = choice.taken.gain_over(choice.last)
    assert gain > 2 * error > 0
    assert choice.n_judged == 60
    assert [len(one.layers) for one in choice.best] == [2, 3]


def test_the_last_layer_stays_where_all_tell_as_much() -> None:
    data = make_data(telling=(1.5, 1.5, 8.0))
    assert choose_layers(data, WIDTHS, 0).taken.layers == (2,)


def test_out_of_fold_answers_are_those_of_heads_that_never_saw_the_fold() -> None:
    """Against ridge regression in its primal form, fold by fold."""
    data = make_data(telling=(0.8, 0.8, 0.8))
    judge = layer_choice._Judge(data, WIDTHS, 0, lambda: None)
    rows = data.training
    vectors = data.bottlenecks[rows, :3].astype(np.float64)
    vectors -= vectors.mean(axis=0)
    vectors /= np.sqrt((vectors**2).sum() / len(rows))
    penalty, targets = 0.37, judge._targets
    squares, directions = np.linalg.eigh(vectors @ vectors.T)
    found = judge._left_out(np.maximum(squares, 0), directions, directions.T @ targets, penalty)
    for fold in range(FOLDS):
        away = judge._folds == fold
        seen = vectors[~away]
        weights = np.linalg.solve(seen.T @ seen + penalty * np.eye(3), seen.T @ targets[~away])
        np.testing.assert_allclose(found[away], vectors[away] @ weights, atol=1e-8)


def test_groups_are_left_out_together_and_few_photos_are_refused() -> None:
    data = make_data()
    groups = np.arange(len(data.labels)) // 6
    judge = layer_choice._Judge(replace(data, groups=groups), WIDTHS, 0, lambda: None)
    for group in np.unique(groups[data.training]):
        assert len(set(judge._folds[groups[data.training] == group].tolist())) == 1
    few = replace(data, training=data.training[:42])  # two of the last class
    with pytest.raises(DatasetError, match="at least 3 training photos of each class, and c has 2"):
        choose_layers(few, WIDTHS, 0)


def test_a_single_answer_is_no_gain() -> None:
    """Four more right answers are within two standard errors, six are not."""
    last = JudgedSet((3,), np.arange(100) >= 10)
    for more, expected in ((1, (3,)), (4, (3,)), (6, (1,))):
        other = JudgedSet((1,), np.arange(100) >= 10 - more)
        gain, error = other.gain_over(last)
        assert gain == pytest.approx(more / 100)
        assert error == pytest.approx(np.sqrt(more + 1) / 100)
        assert layer_choice._taken([other, last], []).layers == expected
