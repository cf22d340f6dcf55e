"""Novelty: what is far from every class, in either way, is more novel than what is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain_cli.similarity import novelty
from retrain_cli.similarity.novelty import NoveltyModel

WIDTH, CLASSES = 24, 6


def photos(generator: np.random.Generator, count: int) -> tuple[NDArray[np.float32], np.ndarray]:
    """Classes along axes of their own; within each, little varies in the last eight numbers."""
    labels = np.arange(count) % CLASSES
    vectors = generator.normal(size=(count, WIDTH))
    vectors[:, -8:] *= 0.05
    vectors[np.arange(count), labels] += 8
    return vectors.astype(np.float32), labels


@pytest.fixture
def model() -> NoveltyModel:
    generator = np.random.default_rng(0)
    vectors, labels = photos(generator, 600)
    return NoveltyModel.fit(vectors, labels, photos(generator, 120)[0])


def test_known_photos_have_novelty_0_on_average(model: NoveltyModel) -> None:
    known = model(photos(np.random.default_rng(1), 300)[0])
    assert known.mean() == pytest.approx(0, abs=0.3)


def test_another_class_and_another_kind_are_novel(model: NoveltyModel) -> None:
    generator = np.random.default_rng(2)
    known, _ = photos(generator, 300)
    limit = np.quantile(model(known), 0.95)
    other_class = generator.normal(size=(100, WIDTH)).astype(np.float32)
    other_class[:, -8:] *= 0.05
    other_class[:, CLASSES] += 8
    assert (model(other_class) > limit).mean() > 0.9
    other_kind = known.copy()
    other_kind[:, -8:] += generator.normal(size=(300, 8)).astype(np.float32)
    assert (model(other_kind) > limit).mean() > 0.9


def test_a_photo_whose_class_is_left_out_is_novel(model: NoveltyModel) -> None:
    known, labels = photos(np.random.default_rng(3), 300)
    limit = np.quantile(model(known), 0.95)
    assert (model(known, labels) > limit).mean() > 0.9
    others = (labels + 1) % CLASSES
    assert model(known, others) == pytest.approx(model(known), abs=1e-4)


def test_few_photos_have_the_cosine_alone() -> None:
    vectors, labels = photos(np.random.default_rng(4), 30)
    few = NoveltyModel.fit(vectors, labels, vectors)
    assert few.root is None
    assert np.isfinite(few(vectors)).all()


def test_the_bottlenecks_as_they_are_count_too(model: NoveltyModel) -> None:
    """Distances along what whitening shrinks or drops are seen by the plain cosine alone."""
    vectors, _ = photos(np.random.default_rng(5), 60)
    distances = model.distances(vectors)
    assert distances.shape == (60, 3)
    lengths = np.linalg.norm(vectors, axis=1)[:, None] * np.linalg.norm(model.plain_means, axis=1)
    cosines = vectors @ model.plain_means.T / lengths
    assert distances[:, 2] == pytest.approx(1 - cosines.max(axis=1), abs=1e-5)
    scaled = (distances - model.centre) / model.spread
    assert model(vectors) == pytest.approx(scaled.mean(axis=1), abs=1e-5)


def test_distances_in_pieces_are_those_of_all_at_once(
    model: NoveltyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, labels = photos(np.random.default_rng(5), 50)
    whole, without = model.distances(known), model.distances(known, labels)
    monkeypatch.setattr(novelty, "_CHUNK_DISTANCES", 7 * CLASSES)
    np.testing.assert_allclose(model.distances(known), whole, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.distances(known, labels), without, rtol=1e-4, atol=1e-4)
    assert model.distances(known[:0]).shape == (0, 3)
