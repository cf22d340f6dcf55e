from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrain_cli.errors import RunError
from retrain_cli.evaluation.predictions import ImageTable, predict
from retrain_cli.heads.head import Head
from retrain_cli.runs.calibration import (
    Calibration,
    all_normalisers,
    log_normalisers,
)


def test_calibrated_predictions_are_those_of_the_head_at_that_temperature() -> None:
    generator = np.random.default_rng(0)
    head = Head(tuple("abc"), generator.normal(size=(6, 3)).astype(np.float32), np.ones(3, "f4"))
    vectors = generator.normal(size=(40, 6)).astype(np.float32)
    images = ImageTable(
        np.zeros(40, np.uint8),
        np.zeros((40, 16), np.uint8),
        ["x"] * 40,
        generator.integers(0, 3, 40).astype(np.int32),
    )
    saved = predict(head, vectors, images)
    logs = head.log_probabilities(vectors)
    calibration = Calibration(2.5, 40, all_normalisers([logs[:9], logs[9:]], 2.5))
    made, expected = calibration.apply(saved), predict(head.at_temperature(2.5), vectors, images)
    assert (made.rank == expected.rank).all()
    assert (made.top_classes == expected.top_classes).all()
    np.testing.assert_allclose(made.top_scores, expected.top_scores, rtol=1e-5)
    np.testing.assert_allclose(made.log_probability, expected.log_probability, rtol=1e-4, atol=1e-6)
    with pytest.raises(RunError, match="must fit its run"):
        replace(calibration, log_normalisers=np.zeros(3)).apply(saved)


def test_a_score_of_zero_stays_zero() -> None:
    saved = predict(
        Head(("a", "b"), np.array([[0, 200]], np.float32), np.zeros(2, np.float32)),
        np.ones((1, 1), np.float32),
        ImageTable(
            np.zeros(1, np.uint8), np.zeros((1, 16), np.uint8), ["x"], np.zeros(1, np.int32)
        ),
    )
    normalisers = log_normalisers(np.array([[-200, 0]], np.float32), 2)
    made = Calibration(2, 1, normalisers).apply(saved)
    assert made.top_scores.tolist() == [[1, 0]]
    assert made.log_probability.tolist() == [-100]


def test_it_survives_saving_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "calibration.npz"
    Calibration(0.5, 12, np.arange(3.0)).save(path)
    loaded = Calibration.load(path)
    assert (loaded.temperature, loaded.n_images) == (0.5, 12)
    assert loaded.log_normalisers.tolist() == [0, 1, 2]
    Calibration(float("nan"), 12, np.arange(3.0)).save(path)
    with pytest.raises(RunError, match="calibration"):
        Calibration.load(path)
    path.write_bytes(b"PK")
    with pytest.raises(RunError, match="calibration"):
        Calibration.load(path)
