"""Gradients against TensorFlow's own, and training in NumPy against training on the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered import parameters
from retrain_cli.heads.layered.backprop import Backprop
from retrain_cli.heads.layered.dropping import KeptUnits, most_steps
from retrain_cli.heads.layered.parameters import head_of, initial_head, parameters_of
from retrain_cli.heads.training import train_head

NAMES = ("ant", "bee", "cat", "dog")
CONFIG = TrainingConfig(steps=60, eval_every=20, batch_size=16, seed=3, epsilon=0.01)
MAKES: dict[str, dict[str, Any]] = {
    "relu": {"hidden": (7,)},
    "two layers": {"hidden": (7, 5), "activation": "gelu", "l2": 0.01},
    "sigmoid and cosines": {"hidden": (6,), "activation": "sigmoid", "head": "cosine", "l2": 0.01},
    "tanh": {"hidden": (5,), "activation": "tanh"},
    "cosines": {"head": "cosine"},
    "dropout": {"dropout": 0.4},
    "all": {"hidden": (7, 5), "dropout": 0.5, "head": "cosine"},
}


def make_data(width: int = 9) -> HeadData:
    generator = np.random.default_rng(5)
    labels = np.repeat(np.arange(4, dtype=np.int32), 15)
    centres = generator.random((4, width))
    vectors = (centres[labels] + 0.4 * generator.random((60, width))).astype(np.float32)
    rows = np.arange(60)
    return HeadData(vectors, labels, NAMES, training=rows[rows % 4 > 0], validation=rows[::4])


def keras_model(head: Head, config: TrainingConfig) -> Any:
    """The same head of plain Keras layers."""
    import keras

    layers = [keras.Input((head.width,))]
    for layer in head.body.hidden:
        activation = config.activation
        dense = keras.layers.Dense(len(layer.bias), activation=_keras_activation(activation))
        layers.append(dense)
    if head.body.cosine:
        layers.append(keras.layers.UnitNormalization())
    layers.append(keras.layers.Dense(head.n_classes))
    model = keras.Sequential(layers)
    pairs = [(layer.weights, layer.bias) for layer in head.body.hidden]
    model.set_weights([array for pair in (*pairs, (head.weights, head.bias)) for array in pair])
    return model


def _keras_activation(name: str) -> Any:
    import keras

    if name != "gelu":
        return name
    return lambda sums: keras.activations.gelu(sums, approximate=True)


@pytest.mark.parametrize("make", MAKES)
def test_logits_are_those_of_plain_keras_layers(make: str) -> None:
    config = replace(CONFIG, **MAKES[make])
    head = train_head(make_data(), replace(config, steps=5)).head
    vectors = make_data().bottlenecks
    theirs = keras_model(head, config)(vectors)
    assert_allclose(head.logits(vectors), np.asarray(theirs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("make", MAKES)
def test_gradients_are_those_of_tensorflow(make: str) -> None:
    import tensorflow as tf

    config = replace(CONFIG, **MAKES[make])
    data = make_data()
    head = initial_head(NAMES, data.width, config)
    values = [tf.Variable(one) for one in parameters_of(head)]
    labels = data.labels
    n_dropped = sum(config.hidden) or data.width
    kept = np.random.default_rng(0).random((60, n_dropped)) > 0.4 if config.dropout else None

    def drop(features: Any, start: int) -> Any:
        if kept is None:
            return features
        own = kept[:, start : start + features.shape[1]]
        return features * own.astype(np.float32) / (1 - config.dropout)

    with tf.GradientTape() as tape:
        features, start, loss = tf.constant(data.bottlenecks), 0, tf.constant(0.0)
        if not config.hidden:
            features = drop(features, 0)
        for number, units in enumerate(config.hidden):
            weights, bias = values[2 * number], values[2 * number + 1]
            sums = features @ weights + bias
            acts = {
                "relu": tf.nn.relu,
                "sigmoid": tf.sigmoid,
                "tanh": tf.tanh,
                "gelu": lambda sums: tf.nn.gelu(sums, approximate=True),
            }
            features = drop(acts[config.activation](sums), start)
            start += units
            loss += config.weight_decay / 2 * tf.reduce_sum(weights**2)
        weights, last = values[-2:]
        if config.head == "cosine":
            columns = tf.math.l2_normalize(weights, axis=0)
            logits = last * (tf.math.l2_normalize(features, axis=1) @ columns)
        else:
            logits = features @ weights + last
            loss += config.weight_decay / 2 * tf.reduce_sum(weights**2)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        loss += tf.reduce_mean(losses)
    theirs = tape.gradient(loss, values)
    backprop = Backprop.of(np, config, 4)
    numbers = [value.numpy() for value in values]
    ours, hits, gradients = backprop.step(numbers, data.bottlenecks, labels, kept)
    assert float(ours) == pytest.approx(float(loss), rel=1e-5)
    assert hits == (logits.numpy().argmax(axis=1) == labels).sum()
    for mine, their in zip(gradients, theirs, strict=True):
        assert mine.dtype == np.float32
        assert_allclose(mine, their.numpy(), atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("make", MAKES)
def test_the_engine_trains_the_same_head_as_numpy(make: str) -> None:
    config = replace(CONFIG, **MAKES[make])
    alone, beside = (train_head(make_data(), config, alone=alone) for alone in (True, False))
    vectors = make_data().bottlenecks
    assert_allclose(alone.head.logits(vectors), beside.head.logits(vectors), atol=5e-4)
    assert alone.best_step == beside.best_step
    for ours, theirs in zip(alone.history, beside.history, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-3)
        assert ours.validation_loss == pytest.approx(theirs.validation_loss, rel=1e-3)


def test_batches_that_are_read_from_a_file_train_the_same_head() -> None:
    config = replace(CONFIG, hidden=(7,), dropout=0.5, normalise="standardise")
    whole, streamed = (
        train_head(make_data(), config, memory_limit=limit).head for limit in (None, 1)
    )
    assert (whole.weights == streamed.weights).all()


def test_training_learns() -> None:
    for make in MAKES.values():
        trained = train_head(make_data(), replace(CONFIG, steps=300, **make))
        assert trained.history[-1].loss < trained.history[0].loss


def test_cosine_scores_lie_between_the_scale_and_its_negative() -> None:
    head = train_head(make_data(), replace(CONFIG, head="cosine")).head
    scales = np.linalg.norm(head.weights, axis=0)
    assert_allclose(scales, scales[0], rtol=1e-5)
    vectors = make_data().bottlenecks
    cosines = head.logits(vectors) / scales[0]
    directions = head.weights / scales
    expected = vectors @ directions / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert_allclose(cosines, expected, atol=1e-6)
    assert np.abs(cosines).max() <= 1 + 1e-6
    assert_allclose(head.logits(vectors * 100), head.logits(vectors), atol=1e-4)


def test_dropout_is_off_when_a_head_answers() -> None:
    head = train_head(make_data(), replace(CONFIG, hidden=(7,), dropout=0.5)).head
    vectors = make_data().bottlenecks
    assert (head.logits(vectors) == head.logits(vectors)).all()
    assert_allclose(head.logits(vectors), keras_model(head, CONFIG)(vectors), atol=1e-5)


def test_parameters_make_the_head_that_they_came_from() -> None:
    for make in MAKES.values():
        head = initial_head(NAMES, 9, replace(CONFIG, **make))
        again = head_of(head, parameters_of(head))
        vectors = make_data().bottlenecks
        assert_allclose(again.logits(vectors), head.logits(vectors), atol=1e-5)


def test_equal_seeds_train_equal_heads_and_others_do_not() -> None:
    config = replace(CONFIG, hidden=(7,), dropout=0.5)
    first, second, third = (
        train_head(make_data(), replace(config, seed=seed)).head for seed in (3, 3, 4)
    )
    assert (first.weights == second.weights).all()
    assert (first.weights != third.weights).any()


def test_what_is_kept_is_the_same_however_it_is_drawn() -> None:
    config = replace(CONFIG, hidden=(7, 4), dropout=0.25)
    whole, parts = KeptUnits(config, 9), KeptUnits(config, 9)
    at_once = whole.draw(5, 16)
    assert at_once is not None and at_once.shape == (5, 16, 11)
    assert 0.65 < at_once.mean() < 0.85
    np.testing.assert_array_equal(at_once, np.concatenate([parts.draw(2, 16), parts.draw(3, 16)]))
    assert KeptUnits(replace(config, dropout=0.0), 9).draw(5, 16) is None


def test_blocks_are_short_where_much_is_drawn() -> None:
    config = replace(CONFIG, dropout=0.5, batch_size=10_000)
    assert most_steps(config, 2048) * 10_000 * 2048 <= 20_480_000
    assert most_steps(replace(config, hidden=(10,)), 2048) == 200
    assert most_steps(replace(config, dropout=0.0), 2048) > 10**6


def test_layers_that_memory_does_not_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "available_memory", lambda: 2**30)
    config = replace(CONFIG, hidden=(16_384, 16_384))
    with pytest.raises(ConfigError, match=r"hidden .* need 5\.0 GB of the 1\.0 GB"):
        initial_head(NAMES, 9, config)
