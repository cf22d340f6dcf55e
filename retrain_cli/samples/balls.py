"""Balls: a soccer ball and a beach ball, both true spheres turned any way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import Colour, Field, Image, mix, ramp
from retrain_cli.samples.layer import Ball, Layer

RADIUS = 0.95
GOLDEN = (1 + 5**0.5) / 2
# distances of the faces of a truncated icosahedron with edges of length 1 from its centre
PENTAGON_DISTANCE, HEXAGON_DISTANCE = 2.3274, 2.2673

PATCHES: list[tuple[Colour, Colour]] = [  # pentagons, hexagons
    ((0.07, 0.07, 0.08), (0.95, 0.95, 0.94)),
    ((0.07, 0.07, 0.08), (0.95, 0.95, 0.94)),
    ((0.1, 0.2, 0.55), (0.94, 0.94, 0.95)),
    ((0.7, 0.12, 0.12), (0.93, 0.92, 0.9)),
    ((0.1, 0.1, 0.12), (0.95, 0.55, 0.12)),
    ((0.08, 0.3, 0.2), (0.93, 0.9, 0.3)),
]
GORES: list[list[Colour]] = [
    [(0.88, 0.14, 0.14), (0.96, 0.96, 0.95), (0.12, 0.35, 0.75), (0.98, 0.82, 0.15)],
    [(0.9, 0.16, 0.18), (0.96, 0.96, 0.95)],
    [(0.1, 0.5, 0.7), (0.96, 0.96, 0.95)],
    [(0.95, 0.45, 0.1), (0.97, 0.9, 0.3), (0.2, 0.6, 0.3), (0.15, 0.35, 0.7)],
    [(0.9, 0.35, 0.6), (0.96, 0.95, 0.95), (0.3, 0.7, 0.75), (0.96, 0.95, 0.95)],
    [(0.1, 0.1, 0.12), (0.95, 0.95, 0.94)],
]


def draw_soccer_ball(layer: Layer, dice: Dice) -> None:
    """A truncated icosahedron blown up to a sphere: dark pentagons, light hexagons, seams."""
    ball = layer.ball(0, 0, RADIUS)
    pentagons, hexagons = _patch_centres()
    points = _turned(ball, dice)
    dark = (points @ pentagons.T).max(axis=-1) / PENTAGON_DISTANCE
    two_nearest = np.partition(points @ hexagons.T, -2, axis=-1)[..., -2:] / HEXAGON_DISTANCE
    light, next_light = two_nearest[..., 1], two_nearest[..., 0]
    seam = ramp(light - np.maximum(next_light, dark), 0.002, 0.009)
    dark_colour, light_colour = dice.pick(PATCHES)
    panels = mix(np.asarray(light_colour) * 0.45, light_colour, seam)
    panels = mix(panels, dark_colour, ramp(dark - light, -0.002, 0.003))
    _finish(layer, ball, panels, dice.between(0, 0.35))


def draw_beach_ball(layer: Layer, dice: Dice) -> None:
    """Coloured gores from pole to pole, with a cap over the poles and a gloss."""
    ball = layer.ball(0, 0, RADIUS)
    points = _turned(ball, dice)
    colours = np.asarray(dice.pick(GORES), np.float32)
    gores = dice.pick([6, 8, 8, 10, 12])
    around = np.arctan2(points[..., 1], points[..., 0]) / (2 * np.pi) * gores
    panels = colours[np.floor(around).astype(int) % gores % len(colours)]
    seam = ramp(np.abs(around - np.floor(around) - 0.5), 0.46, 0.49)
    panels = mix(panels, panels * 0.7, seam)
    cap = ramp(np.abs(points[..., 2]), 0.955, 0.965)
    panels = mix(panels, dice.pick([(0.96, 0.96, 0.95), (0.96, 0.96, 0.95), (0.9, 0.8, 0.2)]), cap)
    _finish(layer, ball, panels, dice.between(0.1, 0.6))


def _finish(layer: Layer, ball: Ball, panels: Image, gloss: float) -> None:
    rim = 0.75 + 0.25 * ramp(ball.z, 0, 0.45)
    lit = layer.lit(panels, (ball.x, ball.y, ball.z), gloss)
    layer.fill(ball.distance, lit * rim[..., None])


def _turned(ball: Ball, dice: Dice) -> npt.NDArray[np.float32]:
    """The points of the ball's surface, `(height, width, 3)`, turned any way at random."""
    points = np.stack([ball.x, ball.y, ball.z], axis=-1)
    return np.asarray(points @ _random_rotation(dice), np.float32)


def _random_rotation(dice: Dice) -> Field:
    """A rotation matrix made of three turns about the axes."""
    matrix = np.eye(3)
    for axis in range(3):
        angle = dice.between(0, 2 * np.pi)
        turn = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix.astype(np.float32)


def _patch_centres() -> tuple[Field, Field]:
    """Unit vectors to the middles of the patches, `(12, 3)` pentagons and `(20, 3)` hexagons.

    They are the corners and the faces of an icosahedron.
    """
    corners = [
        np.roll([0.0, one, golden], turn)
        for turn in range(3)
        for one in (-1.0, 1.0)
        for golden in (-GOLDEN, GOLDEN)
    ]
    pentagons = np.asarray(corners) / np.hypot(1, GOLDEN)
    close = pentagons @ pentagons.T > 0.4  # neighbours are at 63 degrees, cosine 0.447
    faces = [
        pentagons[a] + pentagons[b] + pentagons[c]
        for a in range(12)
        for b in range(a)
        for c in range(b)
        if close[a, b] and close[b, c] and close[a, c]
    ]
    hexagons = np.asarray(faces)
    hexagons /= np.linalg.norm(hexagons, axis=1, keepdims=True)
    return pentagons.astype(np.float32), hexagons.astype(np.float32)
