"""Pixel modes to 8 bits, and turning."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.images.pixels import flatten, scale_to_bytes, turn

COLOUR = (200, 40, 90)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV"])
def test_colour_modes(mode: str) -> None:
    image = Image.new("RGB", (8, 6), COLOUR)
    via = image.convert("RGBA") if mode == "RGBa" else image
    found = flatten(via.convert(mode))
    assert found.mode == "RGB"
    assert found.size == (8, 6)
    np.testing.assert_allclose(np.asarray(found)[0, 0], COLOUR, atol=3)


@pytest.mark.parametrize("mode", ["L", "LA", "PA", "I", "F", "I;16"])
def test_grey_modes(mode: str) -> None:
    image = Image.new("L", (8, 6), 77)
    if mode == "PA":
        converted = image.convert("LA").convert(mode)
    elif mode == "I;16":
        converted = Image.fromarray(np.full((6, 8), 77 * 257, np.uint16))
    else:
        converted = image.convert(mode)
    if mode == "F":
        converted = converted.point(lambda value: value * (1 / 255))
    np.testing.assert_allclose(np.asarray(flatten(converted).convert("RGB")), 77, atol=1)


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 100), (128, 177)])
def test_alpha_is_laid_on_white(alpha: int, expected: int) -> None:
    image = Image.new("RGBA", (2, 2), (100, 100, 100, alpha))
    np.testing.assert_allclose(np.asarray(flatten(image)), expected, atol=1)


@given(arrays.arrays(np.uint16, (3, 5)))
def test_sixteen_bits_are_divided_by_257(values: NDArray[np.uint16]) -> None:
    np.testing.assert_array_equal(scale_to_bytes(values), np.rint(values / 257))


@given(arrays.arrays(np.float32, (4, 4), elements={"allow_nan": False, "allow_infinity": False}))
def test_any_floats_are_scaled_in_order(values: NDArray[np.float32]) -> None:
    scaled = scale_to_bytes(values).ravel().astype(int)
    order = np.argsort(values.ravel(), kind="stable")
    assert np.all(np.diff(scaled[order]) >= 0)


@given(arrays.arrays(np.int32, (4, 4)))
def test_any_integers_are_scaled_in_order(values: NDArray[np.int32]) -> None:
    scaled = scale_to_bytes(values).ravel().astype(int)
    order = np.argsort(values.ravel(), kind="stable")
    assert np.all(np.diff(scaled[order]) >= 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers(value: float) -> None:
    assert not scale_to_bytes(np.full((2, 2), value, np.float32)).any()
    mixed = np.array([[0.0, 1.0, value]], np.float32)
    assert scale_to_bytes(mixed).tolist() == [[0, 255, 0]]


def test_a_constant_image_is_no_fault() -> None:
    assert scale_to_bytes(np.full((2, 2), 1e9, np.float32)).shape == (2, 2)


def test_turning_and_back() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    back = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    for orientation, inverse in back.items():
        twice = turn(turn(image, orientation), inverse)
        np.testing.assert_array_equal(np.asarray(twice), pixels)
