"""What `--normalise` does, against scikit-learn's Normalizer and StandardScaler."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.preprocessing import Normalizer, StandardScaler

from retrain_cli.heads.config import Normalise, Optimizer, TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch.lbfgs import Objective
from retrain_cli.heads.layered.body import Scaling, of_unit_length
from retrain_cli.heads.layered.normalising import (
    Standardise,
    UnitLength,
    fit_scaling,
    fold_scaling,
    make_normaliser,
    unfold_scaling,
)
from retrain_cli.heads.training import train_head

CONFIG = TrainingConfig(steps=80, eval_every=20, batch_size=16, seed=3)


def make_data(width: int = 9) -> HeadData:
    generator = np.random.default_rng(5)
    labels = np.repeat(np.arange(4, dtype=np.int32), 15)
    centres = generator.random((4, width))
    vectors = (centres[labels] + 0.4 * generator.random((60, width))).astype(np.float32)
    vectors *= np.linspace(0.01, 3, width, dtype=np.float32)
    vectors[:, 3] = 0.1  # never varies
    rows = np.arange(60)
    return HeadData(vectors, labels, ("ant", "bee", "cat", "dog"), rows[rows % 4 > 0], rows[::4])


def test_length_one_is_that_of_scikit_learn() -> None:
    vectors = make_data().bottlenecks
    vectors[0] = 0
    assert_allclose(of_unit_length(vectors), Normalizer().transform(vectors), rtol=1e-6)


def test_scaling_is_that_of_scikit_learn() -> None:
    data = make_data()
    scaler = StandardScaler().fit(data.bottlenecks[data.training].astype(np.float64))
    scaling = fit_scaling(data)
    assert_allclose(scaling.mean, scaler.mean_, rtol=1e-6)
    assert_allclose(scaling.deviation, scaler.scale_, rtol=1e-6)
    assert_allclose(scaling(data.bottlenecks), scaler.transform(data.bottlenecks), atol=2e-5)
    assert np.abs(scaling(data.bottlenecks)[:, 3]).max() < 1e-6


def test_a_folded_layer_does_what_scaling_and_layer_do() -> None:
    generator = np.random.default_rng(1)
    weights, bias = generator.random((9, 4), np.float32), generator.random(4, np.float32)
    scaling = Scaling(*(generator.random(9, np.float32) + 0.5 for _ in range(2)))
    vectors = generator.random((20, 9), np.float32)
    folded = fold_scaling(weights, bias, scaling)
    assert_allclose(vectors @ folded[0] + folded[1], scaling(vectors) @ weights + bias, atol=1e-5)
    for back, before in zip(unfold_scaling(*folded, scaling), (weights, bias), strict=True):
        assert_allclose(back, before, atol=1e-5)


@pytest.mark.parametrize("more", [{}, {"hidden": (6,)}, {"head": "cosine"}])
@pytest.mark.parametrize("normalise", ["l2", "standardise"])
def test_a_head_answers_as_one_of_normalised_bottlenecks(
    normalise: Normalise, more: dict[str, object]
) -> None:
    """Trained by hand on normalised vectors, then asked about them."""
    data, config = make_data(), replace(CONFIG, **more)  # type: ignore[arg-type]
    settings = replace(config, normalise=normalise)
    normaliser = make_normaliser(data, settings, None)
    assert normaliser is not None
    vectors = normaliser(data.bottlenecks)
    by_hand = train_head(replace(data, bottlenecks=vectors), config)
    trained = train_head(data, settings)
    assert_allclose(
        trained.head.logits(data.bottlenecks), by_hand.head.logits(vectors), atol=2e-4, rtol=1e-4
    )
    for ours, theirs in zip(trained.history, by_hand.history, strict=True):
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-4)


def test_standardising_leaves_a_plain_head_and_length_one_does_not() -> None:
    plain = train_head(make_data(), replace(CONFIG, normalise="standardise")).head
    assert plain.body.is_plain
    unit = train_head(make_data(), replace(CONFIG, normalise="l2")).head
    vectors = make_data().bottlenecks
    expected = Normalizer().transform(vectors) @ unit.weights + unit.bias
    assert_allclose(unit.logits(vectors), expected, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["lbfgs", "ridge", "auto"])
@pytest.mark.parametrize("normalise", ["l2", "standardise"])
def test_heads_trained_at_once_are_normalised_too(
    optimizer: Optimizer, normalise: Normalise
) -> None:
    data = make_data()
    settings = replace(CONFIG, optimizer=optimizer, normalise=normalise)
    normaliser = make_normaliser(data, settings, None)
    assert normaliser is not None
    vectors = normaliser(data.bottlenecks)
    by_hand = train_head(
        replace(data, bottlenecks=vectors), replace(settings, normalise="none")
    ).head
    head = train_head(data, settings).head
    assert_allclose(head.logits(data.bottlenecks), by_hand.logits(vectors), atol=2e-3, rtol=1e-3)


def test_training_goes_on_where_it_ended() -> None:
    data = make_data()
    for normalise in ("l2", "standardise"):
        for more in ({}, {"hidden": (6,)}, {"head": "cosine"}):
            settings = replace(CONFIG, normalise=normalise, **more)
            head = train_head(data, settings).head
            normaliser = make_normaliser(data, settings, head)
            assert normaliser is not None
            again = normaliser.outer(normaliser.inner(head))
            assert_allclose(
                again.logits(data.bottlenecks), head.logits(data.bottlenecks), atol=1e-4
            )
            longer = train_head(data, replace(settings, learning_rate=1e-9), initial=head).head
            assert_allclose(
                longer.logits(data.bottlenecks), head.logits(data.bottlenecks), atol=1e-4
            )


def test_the_training_rows_alone_are_measured() -> None:
    data = make_data()
    other = data.bottlenecks.copy()
    other[data.validation] = 1e6
    assert_allclose(fit_scaling(replace(data, bottlenecks=other)).mean, fit_scaling(data).mean)
    unit = make_normaliser(data, replace(CONFIG, normalise="l2"), None)
    lengths = np.linalg.norm(data.bottlenecks[data.training], axis=1)
    assert isinstance(unit, UnitLength)
    assert unit.length == pytest.approx(float(lengths.mean()), rel=1e-6)


def test_bottlenecks_in_a_file_are_normalised_as_they_are_read(tmp_path: Path) -> None:
    data = make_data()
    path = tmp_path / "vectors"
    data.bottlenecks.tofile(path)
    mapped = np.memmap(path, np.float32, "r", shape=data.bottlenecks.shape)
    scaling = fit_scaling(data)
    settings = replace(CONFIG, optimizer="lbfgs", normalise="standardise")
    in_file = replace(data, bottlenecks=mapped, transform=Standardise(scaling))
    in_memory = replace(data, bottlenecks=scaling(data.bottlenecks))
    at = np.full(9 * 4 + 4, 0.1)
    losses = [
        Objective(one, settings, limit)(at)[0] for one, limit in ((in_file, 1), (in_memory, None))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
