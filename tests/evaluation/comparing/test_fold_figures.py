"""Means over folds, against SciPy."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from retrain_cli.evaluation.comparing.fold_figures import FoldFigures, FoldMean
from retrain_cli.evaluation.figures import HEADLINES


@given(st.lists(st.floats(0.3, 0.7), min_size=2, max_size=12))
def test_the_interval_is_students(folds: Any) -> None:
    found = FoldMean.of(folds)
    assert found is not None
    assert found.mean == pytest.approx(np.mean(folds))
    assert found.sd == pytest.approx(np.std(folds, ddof=1))
    error = stats.sem(folds)
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(folds) - 1, np.mean(folds), error)
        assert found.low == pytest.approx(max(0, low))
        assert found.high == pytest.approx(min(1, high))


def test_folds_that_do_not_define_a_share_are_left_out() -> None:
    assert FoldMean.of([0.5, None]) is None
    found = FoldMean.of([0.5, None, 0.7])
    assert found is not None
    assert found.mean == pytest.approx(0.6)
    assert found.folds == (0.5, None, 0.7)


def test_figures_survive_json() -> None:
    names = [one.name for one in HEADLINES]
    folds = [{"images": n, **dict.fromkeys(names, n / 40), "ext_top5": None} for n in (20, 30)]
    figures = FoldFigures.of(3, folds)
    assert figures.means["ext_top5"] is None
    assert FoldFigures.from_dict(json.loads(json.dumps(figures.to_dict()))) == figures
