"""Ridge regression against scikit-learn and against refits that leave out one photo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV

from retrain_cli.errors import ConfigError, RunError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch import ridge, training_rows
from retrain_cli.heads.full_batch.ridge import RidgePath
from retrain_cli.heads.full_batch.training_rows import Moments, TrainingRows
from retrain_cli.heads.training import train_head

CONFIG = TrainingConfig(optimizer="ridge")


def make_data(sizes: tuple[int, ...], width: int, seed: int = 0, spread: float = 2.0) -> HeadData:
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int32)
    vectors = 5 + 2 * generator.normal(size=(len(sizes), width))[labels]
    vectors += spread * generator.normal(size=vectors.shape)
    every, none = np.arange(len(labels)), np.empty(0, np.int64)
    names = tuple(f"class {number}" for number in range(len(sizes)))
    return HeadData(vectors.astype(np.float32), labels, names, every, none)


def path_of(data: HeadData, config: TrainingConfig = CONFIG) -> RidgePath:
    return RidgePath(TrainingRows(data, config, None), config.seed)


def fitted(data: HeadData, l2: float, weights: np.ndarray, rows: np.ndarray) -> Ridge:
    """scikit-learn's: `sum_i c_i |y_i - f(x_i)|^2 + alpha |W|^2`."""
    targets = np.eye(data.n_classes)[data.labels]
    model = Ridge(alpha=l2, solver="cholesky", tol=1e-12)
    vectors = data.bottlenecks.astype(np.float64)
    return model.fit(vectors[rows], targets[rows], sample_weight=weights[rows])


# Wider than there are photos, and not.
SHAPES = [((12, 7, 4), 6), ((12, 7, 4), 40), ((30, 30), 5), ((2, 2, 2, 2), 64)]


@pytest.mark.parametrize(("sizes", "width"), SHAPES)
@pytest.mark.parametrize("sampling", ["balanced", "shuffled"])
@pytest.mark.parametrize("l2", [1e-3, 0.1, 10.0])
def test_the_head_is_scikit_learns(
    sizes: tuple[int, ...], width: int, sampling: Any, l2: float
) -> None:
    data, config = make_data(sizes, width), replace(CONFIG, sampling=sampling)
    rows = TrainingRows(data, config, None)
    reference = fitted(data, l2, rows.weights, np.arange(len(rows)))
    made = RidgePath(rows, 0).head(l2)
    np.testing.assert_allclose(made.weights.T, reference.coef_, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(made.bias, reference.intercept_, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("sizes", "width"), SHAPES)
@pytest.mark.parametrize("l2", [1e-3, 0.1, 10.0])
def test_left_out_is_what_a_refit_without_the_photo_says(
    sizes: tuple[int, ...], width: int, l2: float
) -> None:
    data = make_data(sizes, width)
    path, weights = path_of(data), TrainingRows(data, CONFIG, None).weights
    every = np.arange(len(weights))
    refits = np.stack(
        [
            fitted(data, l2, weights, np.delete(every, row)).predict(
                data.bottlenecks[[row]].astype(np.float64)
            )[0]
            for row in every
        ]
    )
    np.testing.assert_allclose(path.left_out(l2), refits, atol=1e-8)


@pytest.mark.parametrize(("sizes", "width"), SHAPES[:2])
def test_photos_held_out_together_are_judged_by_a_refit_without_them(
    sizes: tuple[int, ...], width: int
) -> None:
    data, l2 = make_data(sizes, width), 0.05
    weights, away = TrainingRows(data, CONFIG, None).weights, np.array([0, 3, 4, 9])
    rest = np.setdiff1d(np.arange(len(weights)), away)
    vectors = data.bottlenecks[away].astype(np.float64)
    expected = fitted(data, l2, weights, rest).predict(vectors)
    np.testing.assert_allclose(path_of(data).held_out(l2, away), expected, atol=1e-8)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    width=st.integers(1, 12),
    sizes=st.lists(st.integers(2, 6), min_size=2, max_size=4),
    l2=st.floats(1e-4, 100),
)
def test_one_left_out_is_one_held_out(seed: int, width: int, sizes: list[int], l2: float) -> None:
    path = path_of(make_data(tuple(sizes), width, seed))
    alone = np.concatenate([path.held_out(l2, np.array([row])) for row in range(sum(sizes))])
    np.testing.assert_allclose(path.left_out(l2), alone, rtol=1e-6, atol=1e-9)


def test_the_penalty_is_the_one_of_the_lowest_left_out_loss() -> None:
    data = make_data((30, 25, 20), 30, spread=6.0)
    path = path_of(data)
    best = path.choose()
    for factor in (0.1, 0.5, 2, 10):
        assert path.choose(best.l2 * factor).log_loss >= best.log_loss - 1e-3
    reference = RidgeCV(alphas=np.geomspace(1e-3, 1e3, 60)).fit(
        data.bottlenecks.astype(np.float64),
        np.eye(3)[data.labels],
        sample_weight=TrainingRows(data, CONFIG, None).weights,
    )
    assert best.l2 / reference.alpha_ < 30  # theirs has the lowest squared error
    assert reference.alpha_ / best.l2 < 30


def test_a_given_penalty_is_taken() -> None:
    data = make_data((12, 12), 5)
    trained = train_head(data, replace(CONFIG, l2=0.7))
    assert trained.fit is not None
    assert trained.fit.l2 == 0.7
    chosen = train_head(data, CONFIG)
    assert chosen.fit is not None
    assert chosen.fit.l2 != 0.7


def test_spare_photos_train_and_others_of_validation_do_not() -> None:
    data = make_data((20, 20), 6)
    part = replace(data, training=np.arange(20), validation=np.arange(20, 30))
    alone = train_head(part, CONFIG)
    both = train_head(replace(part, spare=np.arange(20, 30)), CONFIG)
    expected = train_head(replace(data, training=np.arange(30)), CONFIG)
    assert both.took_spare
    np.testing.assert_array_equal(both.head.weights, expected.head.weights)
    assert alone.history[0].validation_loss is not None
    assert not np.array_equal(alone.head.weights, both.head.weights)


def test_vectors_larger_than_memory_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_data((40, 30, 20), 7)
    in_memory = train_head(data, CONFIG)
    monkeypatch.setattr(training_rows, "_CHUNK_VALUES", 7 * 11)
    np.save(tmp_path / "x.npy", data.bottlenecks)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    streamed = train_head(replace(data, bottlenecks=mapped), CONFIG, memory_limit=0)
    np.testing.assert_allclose(streamed.head.weights, in_memory.head.weights, rtol=1e-4)


def test_moments_lose_no_digits_far_from_zero() -> None:
    data = make_data((40, 30), 3)
    far = replace(data, bottlenecks=data.bottlenecks + np.float32(1000))
    rows = TrainingRows(far, CONFIG, None)
    moments, vectors = Moments.of(rows), far.bottlenecks.astype(np.float64)
    centred = vectors - rows.weights @ vectors
    np.testing.assert_allclose(
        moments.scatter, (centred * rows.weights[:, None]).T @ centred, rtol=1e-9
    )


def test_of_very_many_photos_some_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ridge, "MOST_JUDGED", 9)
    data = make_data((30, 30), 4)
    first, second = (path_of(data, replace(CONFIG, seed=3)) for _ in range(2))
    assert first.left_out(0.1).shape == (9, 2)
    np.testing.assert_array_equal(first.left_out(0.1), second.left_out(0.1))


def bad_data() -> Iterator[tuple[HeadData, str]]:
    data = make_data((4, 4), 3)
    yield replace(data, bottlenecks=np.ones_like(data.bottlenecks)), "differ"
    vectors = data.bottlenecks.copy()
    vectors[2, 1] = np.nan
    yield replace(data, bottlenecks=vectors), "finite"


@pytest.mark.parametrize(("data", "reason"), list(bad_data()))
def test_what_cannot_be_trained_on_is_refused(data: HeadData, reason: str) -> None:
    with pytest.raises(RunError, match=reason):
        train_head(data, CONFIG)


def test_one_photo_in_each_class_is_enough() -> None:
    data = make_data((1,) * 6, 12)
    head = train_head(data, CONFIG).head
    assert (head.top_k(data.bottlenecks, 1)[0][:, 0] == data.labels).all()


@pytest.mark.parametrize("optimizer", ["ridge", "auto"])
def test_no_head_is_gone_on_with(optimizer: Any) -> None:
    data = make_data((5, 5), 3)
    head = train_head(data, CONFIG).head
    with pytest.raises(ConfigError, match="makes one anew"):
        train_head(data, replace(CONFIG, optimizer=optimizer), initial=head)
