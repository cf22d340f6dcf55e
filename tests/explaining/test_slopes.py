"""The weighted sum behind a logit, of heads of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from retrain_cli.explaining.slopes import slopes_of
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.body import Body, DenseLayer, Scaling

WIDTH, CLASSES = 12, 4
GENERATOR = np.random.default_rng(5)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32)


SCALING = Scaling(normal(WIDTH), np.abs(normal(WIDTH)) + 0.5)
HIDDEN = (DenseLayer(normal(WIDTH, 9), normal(9)), DenseLayer(normal(9, 7), normal(7)))
BODIES = {
    "plain": Body(),
    "unit length": Body(unit_length=True),
    "standardised": Body(scaling=SCALING),
    "cosine": Body(cosine=True),
    "cosine, standardised, of length one": Body(True, SCALING, (), "relu", True),
    "hidden relu": Body(scaling=SCALING, hidden=HIDDEN),
    "hidden gelu": Body(hidden=HIDDEN, activation="gelu"),
    "hidden, cosine": Body(unit_length=True, hidden=HIDDEN, activation="tanh", cosine=True),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_weighted_sum_and_the_bias_are_the_logit(name: str) -> None:
    body = BODIES[name]
    features = 7 if body.hidden else WIDTH
    head = Head(tuple("abcd"), normal(features, CLASSES), normal(CLASSES), body)
    vectors = np.maximum(normal(6, WIDTH), 0)
    classes = np.array([0, 1, 2, 3, 0, 1])
    found = slopes_of(head, vectors, classes)
    logits = head.logits(vectors)[np.arange(6), classes]
    np.testing.assert_allclose((vectors * found.weights).sum(1) + found.bias, logits, atol=1e-4)
    np.testing.assert_allclose(found.logits, logits, atol=1e-6)


def test_a_softmax_head_is_its_weights_and_its_bias() -> None:
    head = Head(tuple("abcd"), normal(WIDTH, CLASSES), normal(CLASSES))
    found = slopes_of(head, normal(3, WIDTH), np.array([2, 0, 2]))
    np.testing.assert_array_equal(found.weights, head.weights.T[[2, 0, 2]])
    np.testing.assert_allclose(found.bias, head.bias[[2, 0, 2]], atol=1e-5)


@pytest.mark.parametrize("name", ["hidden relu", "hidden gelu", "standardised"])
def test_the_weights_are_the_derivatives(name: str) -> None:
    body = BODIES[name]
    head = Head(tuple("abcd"), normal(7 if body.hidden else WIDTH, CLASSES), normal(CLASSES), body)
    vector = np.abs(normal(1, WIDTH))
    found = slopes_of(head, vector, np.array([1])).weights[0]
    step = 1e-2 * np.eye(WIDTH, dtype=np.float32)
    rise = (head.logits(vector + step)[:, 1] - head.logits(vector - step)[:, 1]) / 2e-2
    np.testing.assert_allclose(found, rise, rtol=0.02, atol=0.02)


def test_a_contrast_is_the_difference_of_both() -> None:
    head = Head(tuple("abcd"), normal(WIDTH, CLASSES), normal(CLASSES))
    vectors = normal(2, WIDTH)
    one, other = (slopes_of(head, vectors, np.array([c, c])) for c in (0, 3))
    both = one.less(other)
    logits = head.logits(vectors)
    np.testing.assert_allclose(both.logits, logits[:, 0] - logits[:, 3], atol=1e-5)
    np.testing.assert_allclose((vectors * both.weights).sum(1) + both.bias, both.logits, atol=1e-5)
