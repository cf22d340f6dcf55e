"""Fitted laws are those that made the points, and no worse than SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from retrain_cli.studies.power_law import PowerLaws

N = np.array([[3.0, 5.0, 10.0, 33.0, 100.0]])


def law(n: Any, a: Any, b: Any, c: Any) -> Any:
    return a * n**-b + c


@given(a=st.floats(0.2, 1.0), b=st.floats(0.3, 1.5), c=st.floats(0.0, 0.2))
@settings(max_examples=40)
def test_a_law_is_found_again(a: float, b: float, c: float) -> None:
    errors = np.clip(law(N, a, b, c), 0, 1)
    fitted = PowerLaws.fit(N, errors)
    within = errors < 1
    assert np.abs(fitted.errors_at(N) - errors)[within].max() < 0.01


def test_noise_is_fitted_as_well_as_scipy_does() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        errors = law(N, 0.7, 0.6, 0.03) + generator.normal(0, 0.02, N.shape)
        errors = np.clip(errors, 0.001, 1)
        sigma = np.sqrt(np.maximum(errors * (1 - errors), 0.01))[0]
        best, _ = curve_fit(
            law, N[0], errors[0], (0.5, 0.5, 0.01), sigma, bounds=([0, 0.05, 0], [9, 3, 1])
        )
        theirs = (((law(N[0], *best) - errors[0]) / sigma) ** 2).sum()
        ours = (((PowerLaws.fit(N, errors).errors_at(N[0]) - errors[0]) / sigma) ** 2).sum()
        assert ours <= 1.05 * theirs + 1e-4


def test_images_for_is_the_inverse() -> None:
    fitted = PowerLaws.fit(N, law(N, 0.8, 0.7, 0.02))
    needed = fitted.images_for(0.1)
    assert fitted.errors_at(needed)[0] == pytest.approx(0.1)
    assert needed[0] == pytest.approx((0.8 / 0.08) ** (1 / 0.7), rel=0.05)
    assert np.isinf(fitted.images_for(0.01)[0])


def test_curves_that_are_flat_or_perfect() -> None:
    flat = PowerLaws.fit(N, np.full_like(N, 0.2))
    assert flat.errors_at(np.array(1e6))[0] == pytest.approx(0.2, abs=0.02)
    assert np.isinf(flat.images_for(0.1)[0])
    perfect = PowerLaws.fit(N, np.zeros_like(N))
    assert perfect.images_for(0.1)[0] == 1.0


def test_with_few_points_there_is_no_floor() -> None:
    fitted = PowerLaws.fit(N[:, :3], law(N[:, :3], 0.8, 0.7, 0.0))
    assert fitted.c[0] == 0
    assert fitted.b[0] == pytest.approx(0.7, abs=0.05)
