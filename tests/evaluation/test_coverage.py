"""The simulation of tools/simulate_coverage.py, on a made-up population: intervals hold the truth.

In each of few draws an interval that is right misses now and then; one that is far too sure misses
much more often than that.
"""

from __future__ import annotations

import runpy
from typing import Any

import numpy as np
import pytest
from helpers import PROJECT

from retrain_cli.evaluation.intervals import Estimate

DRAWS, SIZE = 60, 80


@pytest.fixture(scope="module")
def covered() -> Any:
    tool = runpy.run_path(str(PROJECT / "tools" / "simulate_coverage.py"))
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 6, 1500).astype(np.int32)
    logits = generator.normal(size=(1500, 6)) + 2.2 * np.eye(6)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    population = tool["Population"](labels, scores.astype(np.float32))
    return tool["coverage"](population, SIZE, DRAWS)


def test_intervals_hold_the_figure_of_all_photos(covered: Any) -> None:
    assert len(covered) == 9
    assert min(covered.values()) > 0.87, covered
    assert np.mean(list(covered.values())) > 0.93


def test_the_table_has_a_row_for_each_figure(covered: Any) -> None:
    tool = runpy.run_path(str(PROJECT / "tools" / "simulate_coverage.py"))
    lines = tool["table"]({"made up, 80": covered}).splitlines()
    assert len(lines) == 2 + 9
    assert all(line.endswith("% |") for line in lines[2:])


@pytest.mark.parametrize("size", [3, 5, 10])
def test_the_interval_over_repeats_holds_the_mean_of_many_more(size: int) -> None:
    tool = runpy.run_path(str(PROJECT / "tools" / "simulate_study_coverage.py"))
    values = 0.9 + 0.02 * np.random.default_rng(1).standard_normal(3000)
    estimates = [Estimate(value, value - 0.05, value + 0.05) for value in values.tolist()]
    share, n_studies = tool["coverage"](estimates, size)
    assert n_studies == 3000 // size
    assert 0.92 < share < 0.98
