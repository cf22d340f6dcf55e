from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.samples import fields

SHAPES = {
    "circle": lambda x, y: fields.circle(x, y, 0.5),
    "ellipse": lambda x, y: fields.ellipse(x, y, 0.6, 0.3),
    "box": lambda x, y: fields.box(x, y, 0.4, 0.25),
    "stroke": lambda x, y: fields.stroke(x, y, (-0.3, 0.0), (0.3, 0.2), 0.1),
    "polygon": lambda x, y: fields.polygon(x, y, [(-0.5, -0.5), (0.5, -0.5), (0.0, 0.5)]),
}
AREAS = {
    "circle": np.pi * 0.25,
    "ellipse": np.pi * 0.18,
    "box": 0.4,
    "stroke": np.pi * 0.01 + 0.2 * np.hypot(0.6, 0.2),
    "polygon": 0.5,
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_covers_its_area_at_any_resolution(name: str) -> None:
    for size in (64, 256):
        x, y = (field / size * 2 - 1 for field in fields.pixel_grid(size, size))
        covered = fields.coverage(SHAPES[name](x, y), size / 2)
        assert covered.sum() * (2 / size) ** 2 == pytest.approx(AREAS[name], rel=0.03)


def test_coverage_is_half_on_the_outline() -> None:
    assert fields.coverage(np.array([-1.0, 0.0, 1.0]), 300).tolist() == [1.0, 0.5, 0.0]


@given(st.floats(-4, 4), st.floats(-2, 2), st.floats(-2, 2))
def test_rotation_keeps_distances_and_turns_anticlockwise(angle: float, x: float, y: float) -> None:
    turned = fields.rotated(np.array([x]), np.array([y]), angle)
    assert np.hypot(*turned)[0] == pytest.approx(np.hypot(x, y), abs=1e-6)
    along = fields.rotated(np.array([np.cos(angle)]), np.array([np.sin(angle)]), angle)
    assert along[0][0] == pytest.approx(1)


@given(st.integers(0, 4), st.integers(0, 5))
def test_blur_spreads_a_point_and_keeps_its_weight(radius: int, shift: int) -> None:
    image = np.zeros((41, 43), np.float32)
    image[20 - shift, 20 + shift] = 1
    result = fields.blurred(image, radius)
    assert result.shape == image.shape
    assert result.sum() == pytest.approx(1, abs=1e-4)
    assert result.max() == pytest.approx(1 / (2 * radius + 1) ** 2, rel=1e-3)
    highest = np.unravel_index(result.argmax(), result.shape)
    assert [int(place) for place in highest] == [20 - shift, 20 + shift]


def test_mix_goes_from_the_first_colour_to_the_second() -> None:
    mixed = fields.mix((0, 0, 0), (1, 0.5, 0), np.array([[0.0, 0.5, 1.0]]))
    assert mixed.tolist() == [[[0, 0, 0], [0.5, 0.25, 0], [1, 0.5, 0]]]
