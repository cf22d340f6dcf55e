"""Several layers side by side: the head takes over their scale, exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrain_cli.errors import DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch.layer_choice import FOLDS, choose_layers
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.layer_scale import LayerScale
from retrain_cli.heads.training import train_head

WIDTHS = (3, 6, 4)
LBFGS = TrainingConfig(optimizer="lbfgs", steps=40)


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
    scale = LayerScale.of(replace(data, bottlenecks=spoilt))
    scaled = scale.applied(data)
    assert scaled.layer_widths == ()
    rows = scaled.bottlenecks[data.training]
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-4)
    for part in np.split(rows, np.cumsum(WIDTHS)[:-1], axis=1):
        assert np.mean(part**2) == pytest.approx(1, rel=1e-4)


def test_the_folded_head_scores_as_the_one_that_was_trained() -> None:
    data = make_data()
    scale = LayerScale.of(data)
    scaled = scale.applied(data)
    head = train_head(scaled, LBFGS).head
    folded = train_head(data, LBFGS).head
    ours = folded.weights.astype(np.float64)
    scores = data.bottlenecks.astype(np.float64) @ ours + folded.bias
    np.testing.assert_allclose(scores, head.logits(scaled.bottlenecks), atol=2e-3)
    exact = scale.folded(head)
    np.testing.assert_array_equal(exact.weights, folded.weights)
    back = scale.unfolded(exact)
    np.testing.assert_allclose(back.weights, head.weights, rtol=1e-6)
    np.testing.assert_allclose(back.bias, head.bias, atol=1e-4)


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


def test_a_matrix_in_a_file_is_scaled_into_a_file(tmp_path: Path) -> None:
    data = make_data()
    mapped = np.memmap(tmp_path / "m", np.float32, "w+", shape=data.bottlenecks.shape)
    mapped[:] = data.bottlenecks
    scale = LayerScale.of(data)
    there = scale.applied(replace(data, bottlenecks=mapped)).bottlenecks
    assert isinstance(there, np.memmap)
    np.testing.assert_array_equal(there, scale.applied(data).bottlenecks)


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
    assert gain > error > 0
    assert choice.n_judged == 60
    assert [len(one.layers) for one in choice.best] == [2, 3]


def test_the_last_layer_stays_where_all_tell_as_much() -> None:
    data = make_data(telling=(1.5, 1.5, 8.0))
    assert choose_layers(data, WIDTHS, 0).taken.layers == (2,)


def test_out_of_fold_answers_are_those_of_heads_that_never_saw_the_fold() -> None:
    """Against ridge regression in its primal form, fold by fold."""
    data = make_data(telling=(0.8, 0.8, 0.8))
    from retrain_cli.heads.full_batch import layer_choice

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
    from retrain_cli.heads.full_batch import layer_choice

    groups = np.arange(len(data.labels)) // 6
    judge = layer_choice._Judge(replace(data, groups=groups), WIDTHS, 0, lambda: None)
    for group in np.unique(groups[data.training]):
        assert len(set(judge._folds[groups[data.training] == group].tolist())) == 1
    few = replace(data, training=data.training[:42])  # two of the last class
    with pytest.raises(DatasetError, match="at least 3 training photos of each class, and c has 2"):
        choose_layers(few, WIDTHS, 0)


def test_labels_stay() -> None:
    head = Head(("a", "b"), np.ones((2, 2), np.float32), np.zeros(2, np.float32))
    scale = LayerScale(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    assert scale.folded(head).labels == ("a", "b")
    np.testing.assert_allclose(scale.folded(head).bias, [-1.0, -1.0])
