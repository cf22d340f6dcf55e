"""The Keras model of an export computes what the head computes in NumPy, whatever the head."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from retrain_cli.engine import load_keras
from retrain_cli.exporting.classifier_model import build_classifier
from retrain_cli.heads.balancing.class_prior import ClassPrior
from retrain_cli.heads.head import Head
from retrain_cli.heads.layered.activations import ACTIVATIONS
from retrain_cli.heads.layered.body import Body, DenseLayer, Scaling

WIDTH, LABELS = 12, ("ant", "bee", "cat")
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> Any:
    return RANDOM.standard_normal(shape, dtype=np.float32)


def vectors_of(images: Any) -> Any:
    """What the backbone makes of images."""
    return images.reshape(len(images), -1).astype(np.float32) / 100 - 1


def scaling() -> Scaling:
    return Scaling(normal(WIDTH), np.abs(normal(WIDTH)) + np.float32(0.5))


def hidden(*units: int) -> tuple[DenseLayer, ...]:
    widths = (WIDTH, *units)
    return tuple(DenseLayer(normal(a, b), normal(b)) for a, b in pairwise(widths))


BODIES: dict[str, Body] = {
    "plain": Body(),
    "unit length": Body(unit_length=True),
    "standardised": Body(scaling=scaling()),
    "cosine": Body(cosine=True),
    "cosine of hidden": Body(unit_length=True, hidden=hidden(7), cosine=True),
    "standardised and hidden": Body(scaling=scaling(), hidden=hidden(8, 5)),
    **{name: Body(hidden=hidden(6), activation=name) for name in ACTIVATIONS},
}


@pytest.fixture(scope="module")
def backbone() -> Any:
    """Pixels to twelve numbers: as they are, and negative ones too."""
    keras = load_keras()
    images = keras.Input((2, 2, 3), dtype="uint8")
    vectors = keras.layers.Flatten()(keras.ops.cast(images, "float32"))
    return keras.Model(images, vectors / 100.0 - 1.0)


@pytest.mark.parametrize("name", BODIES)
def test_scores_are_those_of_the_head(name: str, backbone: Any) -> None:
    body = BODIES[name]
    features = len(body.hidden[-1].bias) if body.hidden else WIDTH
    head = Head(LABELS, normal(features, 3), normal(3), body).at_temperature(1.7)
    images = RANDOM.integers(0, 256, (5, 2, 2, 3), np.uint8)
    vectors = vectors_of(images)
    found = np.asarray(build_classifier(backbone, head)(images))
    np.testing.assert_allclose(found, head.probabilities(vectors), atol=2e-6)


def test_a_photo_of_zeros_has_scores(backbone: Any) -> None:
    images = np.full((1, 2, 2, 3), 100, np.uint8)
    head = Head(LABELS, normal(WIDTH, 3), normal(3), Body(unit_length=True, cosine=True))
    found = np.asarray(build_classifier(backbone, head)(images))
    expected = head.probabilities(np.zeros((1, WIDTH), np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_prior_and_a_temperature_are_in_it(backbone: Any) -> None:
    head = Head(LABELS, normal(WIDTH, 3), normal(3))
    prior = ClassPrior(np.log(np.array([0.7, 0.2, 0.1], np.float32)), "natural")
    known = replace(head, prior=prior).for_prior("uniform").at_temperature(2.0)
    images = RANDOM.integers(0, 256, (4, 2, 2, 3), np.uint8)
    vectors = vectors_of(images)
    found = np.asarray(build_classifier(backbone, known)(images))
    np.testing.assert_allclose(found, known.probabilities(vectors), atol=2e-6)
    assert np.abs(found - head.probabilities(vectors)).max() > 0.01
