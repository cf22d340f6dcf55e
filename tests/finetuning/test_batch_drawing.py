"""Which photos and views an epoch trains on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from retrain_cli.finetuning.batch_drawing import BatchDraw
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.data import HeadData

COUNT = 50
TRAINING = np.arange(10, 40)
LABELS = (np.arange(COUNT) % 2).astype(np.int32)
PLAIN = TuningConfig(batch_size=8)
VIEWS = replace(PLAIN, views=3)


def drawn(config: TuningConfig, epoch: int = 1, *, fresh: bool = False) -> NDArray[np.int64]:
    data = HeadData(np.zeros((COUNT, 2), np.float32), LABELS, ("ant", "bee"), TRAINING, TRAINING)
    batches = list(BatchDraw(data, config, fresh=fresh).epoch(epoch))
    for rows, labels in batches:
        assert len(rows) == 8
        np.testing.assert_array_equal(labels, LABELS[rows % COUNT])
    return np.concatenate([rows for rows, _ in batches])


def test_each_training_photo_has_its_turn_in_each_epoch() -> None:
    rows = drawn(PLAIN)
    np.testing.assert_array_equal(np.unique(rows), TRAINING)
    assert len(rows) == 32  # the last batch is filled up
    np.testing.assert_array_equal(drawn(VIEWS) % COUNT, rows)  # views change no turn


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_photos_and_their_views_are_drawn_alike(sampling: str) -> None:
    config = replace(VIEWS, sampling=sampling)  # type: ignore[arg-type]
    views = np.concatenate([drawn(config, epoch) // COUNT for epoch in range(1, 101)])
    shares = np.bincount(views, minlength=4) / len(views)
    np.testing.assert_allclose(shares, 0.25, atol=0.03)
    np.testing.assert_array_equal(drawn(config, 7), drawn(config, 7))
    assert (drawn(config, 7) != drawn(config, 8)).any()
    assert (drawn(config) != drawn(replace(config, seed=1))).any()


def test_what_is_decoded_anew_is_a_new_view_in_each_epoch() -> None:
    for epoch in (1, 2, 9):
        views = drawn(VIEWS, epoch, fresh=True) // COUNT
        assert set(views.tolist()) == {0, epoch}
        assert not (drawn(PLAIN, epoch, fresh=True) // COUNT).any()
