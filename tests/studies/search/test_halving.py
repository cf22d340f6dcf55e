"""Rounds of a halving; scikit-learn's HalvingGridSearchCV is the oracle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV

from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.search.candidates import Candidate
from retrain_cli.studies.search.halving import LEAST_STEPS, plan_rungs, whole_trainings


class Guess(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Trains nothing."""

    def __init__(self, number: int = 0, steps: int = 1) -> None:
        self.number, self.steps = number, steps

    def fit(self, x: object, y: np.ndarray) -> Guess:
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.full(len(x), self.classes_[0])


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 9, 10, 27, 30])
def test_rounds_are_those_of_scikit_learn(count: int, factor: int) -> None:
    steps = factor**4 * 5  # so that its last round is a whole training, too
    oracle = HalvingGridSearchCV(
        Guess(), {"number": list(range(count))}, factor=factor, resource="steps",
        max_resources=steps, cv=2,
    )  # fmt: skip
    labels = np.arange(8) % 2
    oracle.fit(np.zeros((8, 1)), labels)
    rungs = plan_rungs(count, steps, factor, least=1)
    assert [rung.count for rung in rungs] == oracle.n_candidates_
    assert [steps // rung.divisor for rung in rungs] == oracle.n_resources_


@pytest.mark.parametrize("steps", [1, 50, 99, 100, 301, 900, 10_000, 123_457])
def test_no_round_is_too_short_and_the_last_is_whole(steps: int) -> None:
    rungs = plan_rungs(1000, steps)
    assert rungs[-1].divisor == 1
    assert len(rungs) == 1 or steps // rungs[0].divisor >= LEAST_STEPS


def test_what_works_on_all_photos_at_once_always_trains_in_full() -> None:
    rung = plan_rungs(9, 900)[0]
    config = TrainingConfig(steps=900)
    assert rung.config(config).steps == 100
    for name in ("lbfgs", "ridge", "auto"):
        one = replace(config, optimizer=name)
        assert rung.config(one) == one


def test_the_shortest_training_says_how_many_rounds_there_can_be() -> None:
    found = [Candidate("a", TrainingConfig(steps=steps), {}) for steps in (300, 9000) * 10]
    assert [rung.divisor for rung in whole_trainings(found, halving=True, factor=3)] == [3, 1]
    assert len(whole_trainings(found, halving=False, factor=3)) == 1
