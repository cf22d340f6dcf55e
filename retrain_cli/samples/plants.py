"""Things that grow: daisies, sunflowers and mushrooms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import Colour, Field, circle, ellipse, mix, ramp, rotated, stroke
from retrain_cli.samples.layer import Layer
from retrain_cli.samples.textures import noise

DAISIES: list[Colour] = [
    (0.97, 0.97, 0.96),
    (0.97, 0.97, 0.96),
    (0.96, 0.96, 0.9),
    (0.95, 0.78, 0.86),
    (0.98, 0.9, 0.5),
    (0.76, 0.66, 0.9),
]
DAISY_HEARTS: list[Colour] = [(0.95, 0.75, 0.1), (0.9, 0.62, 0.08), (0.75, 0.5, 0.1)]
SUNFLOWERS: list[Colour] = [
    (0.99, 0.8, 0.08),
    (0.98, 0.72, 0.05),
    (0.95, 0.6, 0.05),
    (0.99, 0.88, 0.4),
    (0.7, 0.28, 0.1),
]
SUNFLOWER_HEARTS: list[Colour] = [(0.25, 0.14, 0.06), (0.4, 0.24, 0.08), (0.5, 0.42, 0.12)]
STEMS: list[Colour] = [(0.25, 0.45, 0.15), (0.35, 0.52, 0.2), (0.3, 0.4, 0.2)]
CAPS: list[tuple[Colour, Colour]] = [  # cap, spots
    ((0.8, 0.12, 0.08), (0.97, 0.95, 0.9)),
    ((0.85, 0.3, 0.1), (0.97, 0.93, 0.85)),
    ((0.5, 0.32, 0.18), (0.6, 0.42, 0.27)),
    ((0.68, 0.5, 0.32), (0.75, 0.6, 0.42)),
    ((0.92, 0.88, 0.8), (0.82, 0.76, 0.66)),
    ((0.45, 0.3, 0.45), (0.62, 0.5, 0.62)),
]


@dataclass(frozen=True)
class FlowerHead:
    """The head of a flower: its own coordinates, seen at a slant, and what its petals are like."""

    x: Field
    y: Field
    petals: int
    inner: float
    pointed: float


def draw_daisy(layer: Layer, dice: Dice) -> None:
    """Many slim round petals in two rings about a small domed heart, on a thin stem."""
    _draw_stem(layer, dice, thickness=0.035, leaf=0.22)
    x, y = _slanted(layer, dice)
    head = FlowerHead(x, y, dice.count(11, 22), dice.between(0.16, 0.24), pointed=0.0)
    colour = dice.pick(DAISIES)
    for turn, shade in ((0.5, 0.85), (0.0, 1.0)):
        _draw_petals(layer, dice, head, np.asarray(colour) * shade, turn)
    _draw_heart(layer, dice, head, dice.between(0.2, 0.34), dice.pick(DAISY_HEARTS))


def draw_sunflower(layer: Layer, dice: Dice) -> None:
    """Pointed petals about a large dark heart full of seeds, on a thick stem with big leaves."""
    _draw_stem(layer, dice, thickness=0.065, leaf=0.42)
    x, y = _slanted(layer, dice)
    size = dice.between(0.36, 0.54)
    head = FlowerHead(x, y, dice.count(14, 24), size * 0.8, pointed=1.0)
    colour = dice.pick(SUNFLOWERS)
    for turn, shade in ((0.5, 0.78), (0.0, 1.0)):
        _draw_petals(layer, dice, head, np.asarray(colour) * shade, turn)
    _draw_heart(layer, dice, head, size, dice.pick(SUNFLOWER_HEARTS))


def draw_mushroom(layer: Layer, dice: Dice) -> None:
    """A domed cap, often with spots, over pale gills and a stout stem."""
    width, height = dice.between(0.55, 0.9), dice.between(0.4, 0.8)
    rim = dice.between(-0.1, 0.3)
    _draw_stipe(layer, dice, rim)
    gills = ellipse(layer.x, layer.y - rim, width * 0.93, dice.between(0.1, 0.2))
    ribs = 0.75 + 0.15 * np.sin(np.arctan2(layer.y - rim - 0.3, layer.x) * 60)
    layer.fill(gills, np.asarray((0.88, 0.8, 0.68)) * ribs[..., None])
    hollow = ellipse(layer.x, layer.y - rim + 0.05, width, dice.between(0.08, 0.16))
    dome = ellipse(layer.x, layer.y - rim, width, height)
    cap = np.maximum(np.maximum(dome, -hollow), rim - 0.06 - layer.y)
    across, along = layer.x / width, (layer.y - rim) / height
    near = np.sqrt(np.clip(1 - across**2 - along**2, 0, 1))
    colour, spots = dice.pick(CAPS)
    skin = mix(colour, spots, _spots(across, along, near, dice))
    skin = skin * (0.85 + 0.25 * noise(layer.x * 7, layer.y * 7, dice))[..., None]
    layer.fill(cap, layer.lit(skin, (across, along, near), dice.between(0, 0.3)))


def _draw_stipe(layer: Layer, dice: Dice, rim: float) -> None:
    """The mushroom's stem: wider at the foot, sometimes with a ring."""
    thin, bulge = dice.between(0.12, 0.24), dice.between(0.0, 0.14)
    lean = dice.around(0, 0.12) * (layer.y - rim)
    half = thin + bulge * ramp(-layer.y, -0.3, 1.0)
    across = (layer.x - lean) / half
    stem = np.maximum(
        (np.abs(across) - 1) * half, np.abs(layer.y + 0.35 - rim / 2) - 0.65 - rim / 2
    )
    tone = layer.rounded(across) * (0.85 + 0.2 * noise(layer.x * 20, layer.y * 3, dice))[..., None]
    layer.fill(stem, np.asarray((0.95, 0.91, 0.83)) * tone)
    if dice.chance(0.4):
        ring = ellipse(layer.x - lean, layer.y - rim + 0.3, thin * 1.6, 0.06)
        layer.fill(ring, np.asarray((0.97, 0.94, 0.88)) * tone)


def _spots(across: Field, along: Field, near: Field, dice: Dice) -> Field:
    """Round spots strewn over a dome, as shares 0..1; on some caps none."""
    total = np.zeros_like(across)
    for _ in range(dice.pick([0, 8, 14, 20])):
        angle, height = dice.between(0, 2 * np.pi), dice.between(0.1, 1)
        reach = (1 - height**2) ** 0.5
        x, y = reach * np.cos(angle), height
        z = abs(reach * np.sin(angle))
        apart = np.sqrt((across - x) ** 2 + (along - y) ** 2 + (near - z) ** 2)
        size = dice.between(0.06, 0.17)
        total = np.maximum(total, 1 - ramp(apart, size * 0.85, size))
    return total


def _slanted(layer: Layer, dice: Dice) -> tuple[Field, Field]:
    """Coordinates of a flower head that is seen at a slant and turned by chance."""
    angle, slant = dice.between(-0.6, 0.6), dice.between(0.5, 1.0)
    x, y = rotated(layer.x, layer.y - 0.15, angle)
    return rotated(x, np.asarray(y / slant, np.float32), dice.between(0, 6))


def _draw_petals(layer: Layer, dice: Dice, head: FlowerHead, colour: Field, turn: float) -> None:
    """One ring of petals: all are one petal, folded about the centre, each with its own length."""
    around = np.arctan2(head.y, head.x) / (2 * np.pi) * head.petals + turn
    nearest = np.floor(around + 0.5)
    away = (around - nearest) * (2 * np.pi / head.petals)
    radius = np.hypot(head.x, head.y)
    lengths = 0.72 + 0.16 * dice.field(head.petals)
    outer = lengths[nearest.astype(int) % head.petals]
    along = (radius * np.cos(away) - head.inner) / (outer - head.inner)
    sideways = radius * np.sin(away)
    widest = np.pi / head.petals * 0.62 * dice.between(0.8, 1.25)
    shape = np.clip(along, 0, 1) ** 0.6 * np.clip(1 - along, 0, 1) ** (0.35 + 0.5 * head.pointed)
    distance = np.maximum(np.abs(sideways) - widest * shape * 1.4, np.abs(along - 0.5) - 0.5)
    fold = 0.78 + 0.3 * np.clip(np.abs(sideways) / (widest + 1e-6), 0, 1)
    tone = fold * (0.72 + 0.35 * np.clip(along, 0, 1))
    streaks = 0.92 + 0.12 * np.sin(sideways * 160)
    light = 1 + 0.18 * (layer.light[0] * head.x + layer.light[1] * head.y)
    layer.fill(np.asarray(distance, np.float32), colour * (tone * streaks * light)[..., None])


def _draw_heart(layer: Layer, dice: Dice, head: FlowerHead, size: float, colour: Colour) -> None:
    """The middle of the flower: a dome of seeds set in a sunflower's spiral (Vogel's formula)."""
    radius = np.hypot(head.x, head.y)
    spiral = radius**2 / size**2 * 60
    angle = np.arctan2(head.y, head.x)
    grain = 0.5 + 0.25 * (
        np.sin(13 * angle + spiral**0.5 * 6) + np.sin(21 * angle - spiral**0.5 * 9)
    )
    grain = 0.7 * grain + 0.3 * noise(head.x * 30, head.y * 30, dice)
    height = np.sqrt(np.clip(1 - (radius / size) ** 2, 0, 1))
    seeds = mix(np.asarray(colour) * 0.55, np.asarray(colour) * 1.25, np.asarray(grain, np.float32))
    normals = (head.x / size * 0.8, head.y / size * 0.8, 0.5 + 0.5 * height)
    layer.fill(circle(head.x, head.y, size), layer.lit(seeds, normals))


def _draw_stem(layer: Layer, dice: Dice, thickness: float, leaf: float) -> None:
    """A bent stem from the head down and out of sight, with leaves to its sides."""
    bend = dice.around(0, 0.25)
    middle = bend * ramp(-layer.y, -0.1, 1.6)
    across = (layer.x - middle) / thickness
    stem = np.maximum((np.abs(across) - 1) * thickness, layer.y - 0.15)
    stem = np.maximum(stem, -1.5 - layer.y)
    colour = np.asarray(dice.pick(STEMS))
    layer.fill(stem, colour * layer.rounded(across))
    for side in (-1, 1):
        if dice.chance(0.6):
            _draw_leaf(layer, (bend * 0.4, dice.between(-1.0, -0.6)), side * leaf, colour)


def _draw_leaf(layer: Layer, foot: tuple[float, float], length: float, colour: Field) -> None:
    """A pointed leaf with a rib; a negative length points it to the left."""
    x = (layer.x - foot[0]) / length
    y = (layer.y - foot[1]) / abs(length) - 0.5 * x
    half = 0.45 * np.clip(x, 0, 1) ** 0.7 * np.clip(1.6 - x, 0, 1.6) ** 0.8
    blade = np.maximum(np.abs(y) - half, np.abs(x - 0.8) - 0.8) * abs(length)
    layer.fill(np.asarray(blade, np.float32), colour * (1.0 + 0.25 * np.sign(y))[..., None])
    rib = stroke(
        layer.x, layer.y, foot, (foot[0] + length * 1.3, foot[1] + abs(length) * 0.65), 0.008
    )
    layer.fill(rib, colour * 1.5)
