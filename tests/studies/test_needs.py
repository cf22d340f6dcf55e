"""Forecasts on curves whose law is known."""

from __future__ import annotations

import numpy as np
import pytest

from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.studies.learning_curve import LearningCurve, Size
from retrain_cli.studies.needs import CurveFit, Need

SIZES = (3, 5, 10, 33, 100)


def make_curve(floor: float, n_test: int = 40, repeats: int = 5, seed: int = 0) -> LearningCurve:
    """Twelve classes whose error follows 0.9 n^-0.7 + floor."""
    generator = np.random.default_rng(seed)
    n_classes = 12
    origins = [ClassOrigin(str(number), None) for number in range(n_classes)]

    def evaluation(size: int) -> EvalResult:
        wrong = generator.binomial(n_test, 0.9 * size**-0.7 + floor, n_classes)
        true = np.repeat(np.arange(n_classes), n_test)
        rank = np.where(np.tile(np.arange(n_test), n_classes) < np.repeat(wrong, n_test), 2, 1)
        predicted = np.where(rank == 1, true, (true + 1) % n_classes)
        return EvalResult.from_counts(EvalCounts.count(true, rank, predicted, n_classes), origins)

    return LearningCurve(
        tuple(Size(size, float(size)) for size in SIZES),
        tuple(tuple(evaluation(size) for _ in range(repeats)) for size in SIZES),
        np.repeat(np.array(SIZES)[:, None], n_classes, axis=1),
        np.full((repeats, n_classes), n_test),
    )


def test_the_forecast_of_the_largest_size() -> None:
    forecast = CurveFit(make_curve(0.0), 0).forecast()
    assert forecast is not None
    assert forecast.images == 100
    assert forecast.predicted == pytest.approx(1 - 0.9 * 100**-0.7, abs=0.01)
    assert forecast.low < forecast.measured < forecast.high
    assert forecast.class_error < 0.05
    # Only sizes up to half of the largest may be looked at.
    assert CurveFit(make_curve(0.0), 0).mean_law(4).c[0] >= 0


def test_what_a_reachable_target_needs() -> None:
    truth = (0.9 / 0.03) ** (1 / 0.7)
    need = CurveFit(make_curve(0.0), 0).mean_need(0.97)
    assert need.low < truth < need.high
    assert need.needed == pytest.approx(truth, rel=0.3)
    assert need.text(0.97).endswith(")")


def test_the_interval_holds_the_truth_most_of_the_time() -> None:
    truth = (0.9 / 0.05) ** (1 / 0.7)
    held = 0
    for seed in range(20):
        need = CurveFit(make_curve(0.0, seed=seed), 0).mean_need(0.95)
        held += need.low <= truth and (need.high is None or truth <= need.high)
    assert held >= 16


def test_a_target_above_the_floor_is_not_promised() -> None:
    need = CurveFit(make_curve(0.15), 0).mean_need(0.95)
    assert need.needed is None
    assert need.text(0.95).startswith("cannot be told")


def test_each_class_has_its_own() -> None:
    fit = CurveFit(make_curve(0.0), 0)
    needs = fit.class_needs(0.97)
    assert len(needs) == 12
    assert all(need.have == 100 for need in needs)
    assert len({need.accuracy for need in needs}) > 3


def test_texts() -> None:
    assert Need(30, 0.95, 10.0, 5.0, 20.0).text(0.9) == "reached"
    assert Need(30, 0.85, 70.2, 40.0, None).text(0.9) == "41 (10 or more)"
    assert Need(30, 0.85, 70.2, 20.0, 1030.0).text(0.9) == "41 (0 to 1,000)"
    assert Need(30, 0.89, 28.0, 20.0, 40.0).text(0.9) == "about reached"


def test_too_few_small_sizes_give_no_forecast() -> None:
    curve = make_curve(0.0)
    short = LearningCurve(curve.sizes[-2:], curve.results[-2:], curve.n_training[-2:], curve.n_test)
    assert CurveFit(short, 0).forecast() is None
