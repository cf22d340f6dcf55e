"""How much photos are like the source classes: against plain loops, and in made cases."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain_cli.similarity.familiarity import Familiarity, expected_maximum

WIDTH, SOURCES, COUNT = 64, 200, 30
GENERATOR = np.random.default_rng(5)
WEIGHTS = GENERATOR.normal(size=(WIDTH, SOURCES)).astype(np.float32)
LABELS = np.repeat(np.arange(3), COUNT // 3)


def measured(vectors: NDArray[np.floating], labels: NDArray[np.integer] = LABELS) -> Familiarity:
    small = vectors.astype(np.float32)
    return Familiarity.of(small, labels, WEIGHTS, small @ WEIGHTS)


def along(columns: NDArray[np.integer], noise: float = 0.3) -> NDArray[np.float64]:
    """Bottlenecks that point along these prototypes."""
    found: NDArray[np.float64] = WEIGHTS[:, columns].T + noise * GENERATOR.normal(
        size=(len(columns), WIDTH)
    )
    return found


def test_every_figure_by_plain_loops() -> None:
    vectors = GENERATOR.normal(size=(COUNT, WIDTH)).astype(np.float32)
    found = measured(vectors)
    prominence, distance, confidence = [], [], []
    for vector in vectors:
        cosines = [
            float(vector @ column / (np.linalg.norm(vector) * np.linalg.norm(column)))
            for column in WEIGHTS.T
        ]
        prominence.append((max(cosines) - np.mean(cosines)) / np.std(cosines))
        distance.append(1 - max(cosines))
        scores = np.exp((vector @ WEIGHTS).astype(np.float64))
        confidence.append(max(scores) / sum(scores))
    assert found.prominence == pytest.approx(np.mean(prominence), rel=1e-4)
    assert found.distance == pytest.approx(np.mean(distance), rel=1e-4)
    assert found.confidence == pytest.approx(np.mean(confidence), rel=1e-4)
    answers = (vectors @ WEIGHTS).argmax(axis=1)
    parts = [answers[label == LABELS] for label in range(3)]
    within = np.mean([np.mean([a == b for a, b in combinations(one, 2)]) for one in parts])
    between = np.mean(
        [np.mean([a == b for a, b in product(*pair)]) for pair in combinations(parts, 2)]
    )
    assert found.within == pytest.approx(within)
    assert found.between == pytest.approx(between)


def test_few_photos_whose_answers_are_chance_do_not_tell_classes_apart() -> None:
    """Two of a class: that each agrees with itself says nothing."""
    labels = np.repeat(np.arange(200), 2)
    found = measured(along(GENERATOR.integers(0, 5, len(labels))), labels)
    assert found.is_near
    assert found.within == pytest.approx(found.between, abs=0.08)
    assert not found.is_similar


def test_chance_is_what_directions_without_meaning_give() -> None:
    drawn = GENERATOR.normal(size=(2_000, 1_000)).max(axis=1).mean()
    assert expected_maximum(1_000) == pytest.approx(drawn, abs=0.05)
    anywhere = measured(GENERATOR.normal(size=(COUNT, WIDTH)))
    assert anywhere.prominence == pytest.approx(anywhere.chance, abs=0.4)
    assert not anywhere.is_similar


def test_photos_of_source_classes_are_similar() -> None:
    found = measured(along(LABELS))
    assert found.is_near
    assert (found.within, found.between) == (1.0, 0.0)
    assert found.is_similar


def test_one_answer_for_all_classes_is_no_similarity() -> None:
    """As for pictures that all look like one source class."""
    found = measured(along(np.zeros(COUNT, np.int64)))
    assert found.is_near
    assert (found.within, found.between) == (1.0, 1.0)
    assert not found.is_similar


def test_a_class_without_photos_does_not_count() -> None:
    assert measured(along(LABELS), 2 * LABELS).within == 1.0
