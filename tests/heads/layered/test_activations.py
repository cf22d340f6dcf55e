from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, expit

from retrain_cli.heads.layered.activations import ACTIVATIONS, Activation, activate, slope

SUMS = np.linspace(-6, 6, 241).astype(np.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_they_are_those_of_keras(name: Activation) -> None:
    import keras

    function = getattr(keras.activations, name)
    theirs = function(SUMS, approximate=True) if name == "gelu" else function(SUMS)
    np.testing.assert_allclose(activate(np, name, SUMS), np.asarray(theirs), atol=2e-6)
    ours = activate(keras.ops, name, keras.ops.convert_to_tensor(SUMS))
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), atol=2e-6)


def test_sigmoid_and_gelu_are_those_of_scipy() -> None:
    np.testing.assert_allclose(activate(np, "sigmoid", SUMS), expit(SUMS), atol=2e-7)
    exact = 0.5 * SUMS * (1 + erf(SUMS / np.sqrt(2)))
    difference = np.abs(activate(np, "gelu", SUMS) - exact).max()
    assert 1e-4 < difference < 5e-4  # the tanh form, not the exact one


def test_sums_of_any_size_are_finite() -> None:
    huge = np.array([-1e30, -100, 100, 1e10], np.float32)
    with np.errstate(over="raise", invalid="raise"):
        assert activate(np, "sigmoid", huge).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_are_derivatives(name: Activation) -> None:
    sums = SUMS.astype(np.float64) + 0.01  # not at the corner of relu
    change = activate(np, name, sums + 1e-5) - activate(np, name, sums - 1e-5)
    np.testing.assert_allclose(slope(np, name, sums), change / 2e-5, atol=1e-6)
