"""Lines with fewer points that look the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.reports.curve_lines import thinned


@given(st.integers(1, 3000), st.integers(2, 300), st.integers(0, 10**6))
def test_a_thinned_line_stays_near(n: Any, most: Any, seed: Any) -> None:
    generator = np.random.default_rng(seed)
    x = np.sort(generator.random(n))
    y = np.sort(generator.random(n))
    line = thinned(x, y, most)
    assert len(line.x) <= most + 2
    assert (line.x[0], line.x[-1]) == (round(x[0], 4), round(x[-1], 4))
    # Every point that was left out has one that was kept near it, a step of the line away.
    step = (x[-1] - x[0] + y[-1] - y[0]) / (most - 1) + 4e-4
    kept_x, kept_y = np.array(line.x), np.array(line.y)
    away = np.abs(x[:, None] - kept_x) + np.abs(y[:, None] - kept_y)
    assert away.min(axis=1).max() <= step
    kept = set(zip(line.x, line.y, strict=True))
    assert kept <= {(round(a, 4), round(b, 4)) for a, b in zip(x.tolist(), y.tolist(), strict=True)}


def test_a_short_line_is_kept_whole() -> None:
    x = np.array([0.0, 0.5, 0.5, 1.0])
    line = thinned(x, x, 10)
    assert line.x == line.y == [0.0, 0.5, 0.5, 1.0]
