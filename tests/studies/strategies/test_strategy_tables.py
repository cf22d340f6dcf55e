"""Winners, margins and levels of `study strategies`, against SciPy's paired t test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.head_trial import HeadOutcome
from retrain_cli.studies.means import Mean
from retrain_cli.studies.strategies.strategy_tables import (
    MeasuredStrategy,
    SizeWinner,
    show_strategies,
)
from retrain_cli.studies.trial import Trial, TrialRecord

SHARES = {
    "top": (0.80, 0.84, 0.82, 0.86),
    "earlier": (0.60, 0.62, 0.65, 0.61),
    "part": (0.85, 0.83, 0.88, 0.87),
    "all": (0.91, 0.90, 0.94, 0.96),
}
SECONDS = {"top": 1.0, "earlier": 2.0, "part": 30.0, "all": 300.0}


def made(name: str, shares: tuple[float, ...] | None = None) -> MeasuredStrategy:
    own = SHARES[name] if shares is None else shares
    return MeasuredStrategy(name, None, own, (SECONDS[name],) * len(own))


def test_the_winner_its_margin_and_who_is_level() -> None:
    found = SizeWinner.of(20, [made(name) for name in SHARES])
    assert (found.best.name, found.second and found.second.name) == ("all", "part")
    margin = found.best.over(made("part"))
    assert margin is not None
    oracle = ttest_rel(SHARES["all"], SHARES["part"]).confidence_interval()
    assert margin.low == pytest.approx(oracle.low)
    assert margin.high == pytest.approx(oracle.high)
    assert [one.name for one in found.level] == ["all"]


def test_the_cheapest_of_those_that_are_level_stands_first() -> None:
    close = made("all", (0.81, 0.83, 0.84, 0.85))
    found = SizeWinner.of(5, [close, made("top"), made("earlier")])
    assert found.best is close
    assert [one.name for one in found.level] == ["top", "all"]
    same = SizeWinner.of(5, [made("all", SHARES["top"]), made("top")])
    assert same.best.name == "top"  # of equals the cheapest


def test_one_repeat_tells_nobody_apart() -> None:
    found = SizeWinner.of(5, [made("all", (0.9,)), made("earlier", (0.2,))])
    assert {one.name for one in found.level} == {"all", "earlier"}


def record(data: Any, condition: str, repeat: int, right: int, **more: Any) -> TrialRecord:
    """So many right answers of each class."""
    counts = EvalCounts(
        (1,),
        np.full(2, 10),
        np.full((2, 1), right),
        np.empty((0, 2), np.int32),
        np.empty(0, np.int64),
    )
    outcome = HeadOutcome(data.class_names, 8, counts, 0, 0, None).to_dict()
    trial = Trial(condition, repeat, TrainingConfig())
    return TrialRecord.of(trial, 1.0, {**outcome, **more})


def test_what_the_guard_kept_out_is_told(make_data: Callable[..., Any]) -> None:
    data = make_data(1, 1)
    top = [record(data, "top", repeat, 8, seconds=1.0) for repeat in range(2)]
    worse = record(data, "", 0, 5).outcome
    part = [
        record(data, "part", repeat, 8, seconds=9.0, kept=False, unguarded=worse)
        for repeat in range(2)
    ]
    result = show_strategies("strategies", data, {(5, "top"): top, (5, "part"): part}, "last:3")
    main, winners, _, unguarded = result.tables
    assert [row[5] for row in main.rows] == ["-", "0 of 2"]
    assert winners.rows[0][1] == "top"  # level, and cheaper
    ((_, _, share, gain),) = unguarded.rows
    assert isinstance(share, Mean)
    assert isinstance(gain, Mean)
    assert share.value == pytest.approx(0.5)
    assert gain.value == pytest.approx(-0.3)
    assert result.to_dict()["layers"] == []
