"""Equal steps of a number look equal, and get lighter."""

from __future__ import annotations

import numpy as np
import pytest

from retrain_cli.explaining.colours import diverging, sequential, to_oklab


@pytest.mark.parametrize(
    "table", [sequential(), diverging()[:128][::-1], diverging()[127:]], ids=["most", "no", "yes"]
)
def test_steps_look_equal(table: np.ndarray) -> None:
    colours = to_oklab(table)
    # Over eight entries, for one of them is rounded to 8 bits.
    steps = np.linalg.norm(colours[8:] - colours[:-8], axis=1)
    assert steps.max() < 1.25 * steps.mean()
    assert steps.min() > 0.75 * steps.mean()
    assert (np.diff(colours[::8, 0]) > 0).all()


def test_white_and_black_are_oklab_s() -> None:
    lab = to_oklab(np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0]]))
    np.testing.assert_allclose(lab[0], 0, atol=1e-6)
    np.testing.assert_allclose(lab[1], [1, 0, 0], atol=1e-3)
    np.testing.assert_allclose(lab[2], [0.628, 0.225, 0.126], atol=2e-3)


def test_both_directions_are_as_strong() -> None:
    colours = to_oklab(diverging())[:, 0]
    assert abs(colours[0] - colours[-1]) < 0.2
