"""A new column beside known ones: alignment, imprinting, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import check_grad

from retrain_cli.evaluation.ranking import rank_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.growing import left_out_ranks, new_class_ranks, retrain_with
from retrain_cli.heads.surgery.imprinting import imprint
from retrain_cli.heads.surgery.joining import AlignmentSet, align_logits, join_heads, log_sum_exp
from retrain_cli.heads.training import train_head

WIDTH, N_KNOWN = 24, 6


def clusters(n_classes: int, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes that lie around centres of their own, always the same centres."""
    centres = np.random.default_rng(0).normal(size=(n_classes, WIDTH)) * 1.5
    labels = np.repeat(np.arange(n_classes, dtype=np.int32), per_class)
    noise = np.random.default_rng(seed).normal(size=(len(labels), WIDTH))
    return (centres[labels] + noise).astype(np.float32), labels


@pytest.fixture(scope="module")
def known() -> HeadData:
    vectors, labels = clusters(N_KNOWN + 1, 30, seed=1)
    rows = np.flatnonzero(labels < N_KNOWN)
    names = tuple(f"class {i}" for i in range(N_KNOWN))
    return HeadData(vectors[rows], labels[rows], names, np.arange(len(rows)), np.empty(0, int))


@pytest.fixture(scope="module")
def head(known: HeadData) -> Head:
    return train_head(known, TrainingConfig(steps=400, eval_every=400)).head


def new_photos(count: int, seed: int) -> np.ndarray:
    vectors, labels = clusters(N_KNOWN + 1, count, seed)
    return np.asarray(vectors[labels == N_KNOWN])


def some_photos(seed: int = 0) -> AlignmentSet:
    generator = np.random.default_rng(seed)
    target = np.repeat([-1, 0, 1, 2], 10)
    return AlignmentSet(
        generator.normal(size=40), generator.normal(size=(40, 3)), target, np.full(40, 1 / 40)
    )


def test_the_gradient_is_that_of_the_loss() -> None:
    photos = some_photos()
    for point in ([1.0, 0.0], [0.3, -2.0], [4.0, 3.0]):
        error = check_grad(
            lambda x: photos.loss(x)[0], lambda x: photos.loss(x)[1], np.array(point)
        )
        assert error < 1e-5


def test_the_loss_is_the_cross_entropy_of_the_joined_softmax() -> None:
    """Against the plain formula, for photos of the second side."""
    photos = some_photos()
    rows = np.flatnonzero(photos.target >= 0)
    scale, offset = 1.7, -0.4
    logits = np.column_stack([photos.first, scale * photos.second + offset])[rows]
    expected = log_sum_exp(logits) - logits[np.arange(len(rows)), photos.target[rows] + 1]
    part = AlignmentSet(
        photos.first[rows], photos.second[rows], photos.target[rows], np.full(len(rows), 1.0)
    )
    loss = part.loss(np.array([scale, offset]))[0] - 1e-4 * scale**2
    assert loss == pytest.approx(expected.sum())


def test_calibration_finds_the_scale_that_was_lost(known: HeadData, head: Head) -> None:
    """Halves of one head, one of them shrunk and moved: joined, they are that head again."""
    first = Head(head.labels[:3], head.weights[:, :3], head.bias[:3])
    second = Head(head.labels[3:], head.weights[:, 3:] * 0.2, head.bias[3:] * 0.2 - 5)
    target = np.where(known.labels >= 3, known.labels - 3, -1)
    photos = AlignmentSet(
        log_sum_exp(first.logits(known.bottlenecks)),
        second.logits(known.bottlenecks).astype(np.float64),
        target,
        np.full(len(target), 1 / len(target)),
    )
    joined = join_heads(first, align_logits(photos).apply(second))
    assert joined.labels == head.labels
    ranks = rank_of(joined.logits(known.bottlenecks), known.labels)
    apart = rank_of(join_heads(first, second).logits(known.bottlenecks), known.labels)
    assert (ranks == 1).mean() > 0.95
    assert (apart == 1).mean() < 0.6


@pytest.mark.parametrize("count", [1, 3, 10])
def test_a_class_of_few_photos_is_found_and_the_others_stay(
    known: HeadData, head: Head, count: int
) -> None:
    grown = imprint(head, known, "new", new_photos(count, seed=2))
    np.testing.assert_array_equal(grown.weights[:, :N_KNOWN], head.weights)
    np.testing.assert_array_equal(grown.bias[:N_KNOWN], head.bias)
    ranks = np.array(new_class_ranks(grown, new_photos(60, seed=3)))
    assert (ranks == 1).mean() > (0.5 if count == 1 else 0.8)
    vectors, labels = clusters(N_KNOWN + 1, 30, seed=4)
    rows = np.flatnonzero(labels < N_KNOWN)
    before = rank_of(head.logits(vectors[rows]), labels[rows]) == 1
    after = rank_of(grown.logits(vectors[rows]), labels[rows]) == 1
    assert before.mean() - after.mean() < 0.04


def test_known_classes_of_one_photo_each(head: Head, known: HeadData) -> None:
    """Nothing shows how alike photos of a class are; it works all the same."""
    first = np.arange(0, len(known.labels), 30)
    single = HeadData(known.bottlenecks, known.labels, known.class_names, first, known.validation)
    for count in (1, 2):
        grown = imprint(head, single, "new", new_photos(count, seed=2))
        assert np.isfinite(grown.weights).all()


def test_each_photo_is_left_out_in_turn(head: Head, known: HeadData) -> None:
    assert left_out_ranks(head, known, "new", new_photos(1, seed=2)) == ()
    ranks = left_out_ranks(head, known, "new", new_photos(5, seed=2))
    assert len(ranks) == 5
    assert np.mean(ranks) < 2
    # A photo of another class among them is not what the others are.
    mixed = np.concatenate([new_photos(5, seed=2), known.bottlenecks[:1]])
    assert left_out_ranks(head, known, "new", mixed)[-1] > 1


def test_all_classes_are_trained_again(known: HeadData, head: Head) -> None:
    config = TrainingConfig(steps=300, eval_every=300)
    trained = retrain_with(known, "new", new_photos(3, seed=2), config)
    assert trained.head.labels == (*known.class_names, "new")
    assert not np.array_equal(trained.head.weights[:, :N_KNOWN], head.weights)
    ranks = np.array(new_class_ranks(trained.head, new_photos(60, seed=3)))
    assert (ranks == 1).mean() > 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": (16,)},
        {"head": "cosine"},
        {"normalise": "l2"},
        {"normalise": "standardise"},
        {"head": "cosine", "normalise": "standardise"},
    ],
)
def test_a_class_comes_to_heads_of_other_makes(known: HeadData, changes: dict[str, Any]) -> None:
    config = TrainingConfig(steps=400, eval_every=400, **changes)
    before = train_head(known, config).head
    grown = imprint(before, known, "new", new_photos(5, seed=2))
    vectors = known.bottlenecks
    np.testing.assert_array_equal(grown.logits(vectors)[:, :-1], before.logits(vectors))
    ranks = new_class_ranks(grown, new_photos(20, seed=3))
    assert np.mean(np.array(ranks) == 1) > 0.7
    assert rank_of(grown.logits(vectors), known.labels).mean() < 1.3
    left_out = left_out_ranks(before, known, "new", new_photos(5, seed=2))
    assert len(left_out) == 5
    apart = [
        new_class_ranks(
            imprint(before, known, "new", np.delete(new_photos(5, seed=2), row, axis=0)),
            new_photos(5, seed=2)[[row]],
        )[0]
        for row in range(5)
    ]
    assert list(left_out) == apart
