"""When an exported file is as good as its run, and when it is rejected."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from retrain_cli.errors import ConfigError
from retrain_cli.exporting.parity import Answers, Parity, tolerance_for

N = 200


def answers(other: int = 0, wrong: int = 0, shift: float = 0.0) -> Answers:
    """Two classes; the first `other` photos get the other label, of which `wrong` were right."""
    scores = np.tile(np.array([0.8, 0.2], np.float32), (N, 1))
    scores[: other + wrong] = [0.2, 0.8]
    scores[:, 0] += np.float32(shift)
    return Answers(scores, np.linspace(0.001, 0.1, N))


def parity(file: Answers, *, by_accuracy: bool = False, wanted: float | None = None) -> Parity:
    tolerance = tolerance_for("int8" if by_accuracy else "float32", wanted)
    return Parity(answers(), file, np.zeros(N, np.int64), tolerance, by_accuracy)


def test_the_same_answers_pass() -> None:
    found = parity(answers(shift=1e-3))
    assert found.fault is None
    assert found.largest_difference == pytest.approx(1e-3, rel=1e-3)
    figures = found.to_dict()
    assert figures["top1_agreement"] == 1
    assert figures["latency_ms"] == {"median": 50.5, "p95": 95.05}
    json.dumps(figures, allow_nan=False)


def test_one_photo_of_a_begun_thousand_may_differ_and_two_may_not() -> None:
    assert parity(answers(1)).fault is None
    assert "2 of 200 photos another label" in str(parity(answers(2)).fault)
    assert parity(answers(2), wanted=0.01).fault is None
    assert parity(answers(1), wanted=0.0).fault is not None


def test_a_photo_that_the_run_is_undecided_about_may_get_either_label() -> None:
    own, file = answers(), answers()
    own.scores[:9] = [0.52, 0.48]
    file.scores[:9] = [0.49, 0.51]
    labels = np.zeros(N, np.int64)
    found = Parity(own, file, labels, 0.001, by_accuracy=False)
    assert found.fault is None
    assert (found.other_labels, found.ties) == (9, 9)
    own.scores[:2] = [0.53, 0.47]  # 0.06 apart
    assert "2 of 200 photos another label" in str(
        Parity(own, file, labels, 0.001, by_accuracy=False).fault
    )


def test_int8_may_lose_a_point_of_accuracy() -> None:
    assert parity(answers(2), by_accuracy=True).fault is None
    assert "1.5 points less often" in str(parity(answers(3), by_accuracy=True).fault)


def test_of_few_photos_one_may_be_lost() -> None:
    few, labels = slice(0, 30), np.zeros(30, np.int64)
    own = Answers(answers().scores[few], answers().seconds[few])
    for lost, is_fault in ((1, False), (2, True)):
        file = Answers(answers(lost).scores[few], own.seconds)
        assert (Parity(own, file, labels, 0.01, by_accuracy=True).fault is not None) == is_fault


def test_what_is_no_number_is_rejected() -> None:
    broken = answers()
    broken.scores[3, 1] = np.nan
    found = parity(broken, by_accuracy=True)
    assert found.fault == "some of its scores are no numbers"
    assert found.to_dict()["largest_difference"] is None


def test_each_photo_is_asked_about_once_and_counted() -> None:
    asked: list[bytes] = []
    told: list[int] = []

    def answer(photo: bytes) -> Any:
        asked.append(photo)
        return np.array([0.5, 0.5], np.float32)

    found = Answers.of([b"a", b"b"], answer, told.append)
    assert (asked, told) == ([b"a", b"a", b"b"], [1, 2])  # the first one warms up
    assert found.scores.shape == (2, 2)


def test_a_tolerance_is_a_share() -> None:
    with pytest.raises(ConfigError, match="from 0 to below 1"):
        tolerance_for("float32", 1.5)
