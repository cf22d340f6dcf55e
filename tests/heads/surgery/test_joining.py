"""The source head joined with a trained one: what each knows, the joined one knows."""

from __future__ import annotations

import numpy as np
import pytest

from retrain_cli.errors import DatasetError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.surgery.joining import JoinedHeads, join_with_source_head
from retrain_cli.heads.training import train_head

WIDTH, N_SOURCE, N_EXT = 24, 8, 4
CONFIG = TrainingConfig(steps=400, eval_every=400)


def photos(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Source classes 0 to 7, then new ones 8 to 11."""
    centres = np.random.default_rng(0).normal(size=(N_SOURCE + N_EXT, WIDTH)) * 1.5
    labels = np.repeat(np.arange(len(centres), dtype=np.int32), count)
    noise = np.random.default_rng(seed).normal(size=(len(labels), WIDTH))
    return (centres[labels] + noise).astype(np.float32), labels


@pytest.fixture(scope="module")
def source_head() -> Head:
    vectors, labels = photos(40, seed=1)
    rows = np.flatnonzero(labels < N_SOURCE)
    names = tuple(f"n{i}" for i in range(N_SOURCE))
    data = HeadData(vectors[rows], labels[rows], names, np.arange(len(rows)), np.empty(0, int))
    head = train_head(data, CONFIG).head
    return Head(head.labels, head.weights * 0.3, head.bias * 0.3)  # as if softer by training


def users_data(n_int: int) -> tuple[HeadData, list[np.ndarray]]:
    """The user has the first source classes, and all new ones."""
    vectors, labels = photos(30, seed=2)
    classes = [*range(n_int), *range(N_SOURCE, N_SOURCE + N_EXT)]
    rows = np.flatnonzero(np.isin(labels, classes))
    own = np.searchsorted(classes, labels[rows]).astype(np.int32)
    is_validation = np.arange(len(rows)) % 5 == 0
    names = tuple(f"user {i}" for i in classes)
    data = HeadData(
        vectors[rows], own, names, np.flatnonzero(~is_validation), np.flatnonzero(is_validation)
    )
    columns = [np.array([i] if i < N_SOURCE else [], np.int64) for i in classes]
    return data, columns


def join(source_head: Head, n_int: int) -> JoinedHeads:
    data, columns = users_data(n_int)
    head = train_head(data, CONFIG).head
    return join_with_source_head(
        source_head, head, data, columns, lambda part: train_head(part, CONFIG).head
    )


@pytest.mark.parametrize("n_int", [0, 3])
def test_both_sides_are_known(source_head: Head, n_int: int) -> None:
    """Photos of source classes that the user has none of among them."""
    joined = join(source_head, n_int)
    assert joined.head.labels[: n_int + N_EXT] == users_data(n_int)[0].class_names
    assert joined.head.labels[n_int + N_EXT :] == source_head.labels[n_int:]
    assert (joined.without_int is None) == (n_int == 0)
    vectors, labels = photos(60, seed=3)
    is_own = (labels < n_int) | (labels >= N_SOURCE)
    place = np.where(labels < n_int, labels, labels - N_SOURCE + n_int)
    expected = np.where(is_own, place, labels + N_EXT)
    right = joined.head.logits(vectors).argmax(axis=1) == expected
    assert right[is_own].mean() > 0.85
    assert right[~is_own].mean() > 0.6


def test_every_class_is_one_that_the_backbone_knows(source_head: Head) -> None:
    data, columns = users_data(3)
    rows = data.labels < 3
    keep = np.flatnonzero(rows)
    part = HeadData(
        data.bottlenecks[keep],
        data.labels[keep],
        data.class_names[:3],
        np.flatnonzero(np.arange(len(keep)) % 5 > 0),
        np.flatnonzero(np.arange(len(keep)) % 5 == 0),
    )
    head = train_head(part, CONFIG).head
    joined = join_with_source_head(
        source_head, head, part, columns[:3], lambda part: pytest.fail("no EXT")
    )
    assert joined.head.n_classes == N_SOURCE
    assert joined.alignment.scale == 1


def test_without_validation_photos(source_head: Head) -> None:
    data, columns = users_data(3)
    bare = HeadData(
        data.bottlenecks, data.labels, data.class_names, data.training, np.empty(0, np.int64)
    )
    head = train_head(bare, TrainingConfig(steps=1, eval_every=1)).head
    with pytest.raises(DatasetError, match="raise validation_percentage"):
        join_with_source_head(source_head, head, bare, columns, lambda part: head)
