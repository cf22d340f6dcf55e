from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from retrain_cli.samples.balls import HEXAGON_DISTANCE, PENTAGON_DISTANCE, _patch_centres
from retrain_cli.samples.clutter import CLUTTER
from retrain_cli.samples.dice import Dice
from retrain_cli.samples.layer import Layer, Pose
from retrain_cli.samples.scenes import THINGS, render

OVERHEAD = (0.0, 0.6, 0.8)


def draw(label: str, seed: int, light: tuple[float, float, float] = OVERHEAD) -> Layer:
    layer = Layer(120, 120, Pose(60, 60, 40), light)
    THINGS[label].draw(layer, Dice(seed))
    return layer


def test_dice_fall_the_same_way_on_every_machine() -> None:
    dice = Dice(7, 1)
    fell = [dice.between(0, 1), dice.between(0, 1)]
    assert fell == pytest.approx([0.7701409510034741, 0.1119272443176843], abs=1e-15)


def test_dice_keep_their_bounds() -> None:
    dice = Dice(3)
    counts = {dice.count(1, 6) for _ in range(300)}
    assert counts == {1, 2, 3, 4, 5, 6}
    assert {dice.pick("abc") for _ in range(100)} == set("abc")
    assert all(1.5 <= dice.around(2, 0.5) <= 2.5 for _ in range(200))


def test_pose_puts_a_thing_in_its_place() -> None:
    x, y = Pose(30, 20, 10, angle=np.pi / 2).coordinates(40, 60)
    assert (x[19, 29], y[19, 29]) == pytest.approx((0.05, 0.05), abs=1e-5)
    assert x[5, 30] > 1 > abs(y[5, 30])  # turned by 90 degrees: its right is up


def test_light_turns_with_the_thing() -> None:
    upright = Layer(4, 4, Pose(2, 2, 2), (0.6, 0.0, 0.8))
    turned = Layer(4, 4, Pose(2, 2, 2, angle=np.pi / 2), (0.6, 0.0, 0.8))
    assert upright.light == pytest.approx((0.6, 0, 0.8))
    assert turned.light == pytest.approx((0, -0.6, 0.8))
    assert Layer(4, 4, Pose(2, 2, 2, mirrored=True), (0.6, 0, 0.8)).light[0] == pytest.approx(-0.6)


def test_a_ball_is_brighter_towards_the_light() -> None:
    layer = draw("soccer_ball", 1)
    brightness = layer.rgb.mean(axis=-1)
    assert brightness[25:55, 40:80].mean() > 1.15 * brightness[65:95, 40:80].mean()


def test_a_soccer_ball_has_twelve_pentagons_and_twenty_hexagons() -> None:
    pentagons, hexagons = _patch_centres()
    assert (pentagons.shape, hexagons.shape) == ((12, 3), (20, 3))
    for centres in (pentagons, hexagons):
        assert np.linalg.norm(centres, axis=1) == pytest.approx(np.ones(len(centres)))
        assert np.unique(centres.round(3), axis=0).shape == centres.shape
    # each corner of the solid lies on one pentagon and two hexagons, at one distance from all
    nearest = np.sort(hexagons @ pentagons[0])[::-1]
    assert nearest[4] == pytest.approx(nearest[0], abs=1e-4)
    assert nearest[5] < nearest[4] - 0.1
    assert PENTAGON_DISTANCE > HEXAGON_DISTANCE


@pytest.mark.parametrize("label", THINGS)
def test_a_thing_fills_part_of_its_layer_and_never_comes_twice(label: str) -> None:
    first, second = draw(label, 1), draw(label, 2)
    assert 0.03 < first.alpha.mean() < 0.5
    assert first.alpha.min() == 0
    assert first.alpha.max() == pytest.approx(1)
    assert np.all(first.rgb <= first.alpha[..., None] + 1e-5)  # colour times opacity
    assert np.abs(first.rgb - second.rgb).mean() > 0.005
    assert not first.alpha[0].any()  # no stray line runs off the layer above it


@pytest.mark.parametrize("draw_clutter", CLUTTER)
def test_clutter_stays_where_it_is_put(draw_clutter: Any) -> None:
    layer = Layer(120, 120, Pose(60, 60, 25), OVERHEAD)
    draw_clutter(layer, Dice(4))
    assert layer.alpha[50:70, 50:70].max() == pytest.approx(1)
    edge = np.concatenate([layer.alpha[0], layer.alpha[-1], layer.alpha[:, 0], layer.alpha[:, -1]])
    assert not edge.any()


@pytest.mark.parametrize("label", THINGS)
def test_a_picture_is_about_300_pixels_with_contrast_and_colour(label: str) -> None:
    picture = render(THINGS[label], Dice(5))
    assert picture.dtype == np.uint8
    assert all(240 <= side <= 320 for side in picture.shape[:2])
    assert picture.std() > 12
    assert np.array_equal(picture, render(THINGS[label], Dice(5)))
    assert not np.array_equal(picture.mean(), render(THINGS[label], Dice(6)).mean())
