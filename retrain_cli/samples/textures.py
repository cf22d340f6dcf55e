"""Textures made from value noise: clouds, grass, wood, snow, bricks."""

from __future__ import annotations

import numpy as np

from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import Field, ramp

LATTICE = 64  # cells of noise before it repeats


def noise(x: Field, y: Field, dice: Dice) -> Field:
    """Value noise with one random value per unit of x and y, smooth between; 0..1."""
    lattice = dice.field(LATTICE, LATTICE)
    column, row = np.floor(x), np.floor(y)
    right, down = ramp(x - column, 0, 1), ramp(y - row, 0, 1)
    left_cell, top_cell = column.astype(np.int32) % LATTICE, row.astype(np.int32) % LATTICE
    right_cell, bottom_cell = (left_cell + 1) % LATTICE, (top_cell + 1) % LATTICE
    top = _between(lattice[top_cell, left_cell], lattice[top_cell, right_cell], right)
    bottom = _between(lattice[bottom_cell, left_cell], lattice[bottom_cell, right_cell], right)
    return _between(top, bottom, down)


def fractal(x: Field, y: Field, dice: Dice, octaves: int = 4) -> Field:
    """Noise on several scales, each half as wide and half as strong as the one before; 0..1."""
    total, weight = np.zeros_like(x), 0.0
    for octave in range(octaves):
        strength = 0.5**octave
        total += strength * noise(x * 2**octave, y * 2**octave, dice)
        weight += strength
    return np.asarray(total / weight, np.float32)


def wood(x: Field, y: Field, dice: Dice) -> Field:
    """Planks along x with grain, 0 (dark) to 1 (light); one plank per unit of y."""
    plank = np.floor(y)
    shift = 17 * noise(plank + 0.5, plank + 0.5, dice)
    grain = fractal(x * 1.5 + shift, y * 14 + shift, dice, octaves=3)
    tone = noise(plank * 1.7, plank * 1.7, dice)
    gap = ramp(np.abs(y - plank - 0.5), 0.46, 0.5)
    return np.clip(0.55 * grain + 0.35 * tone + 0.1 - 0.5 * gap, 0, 1)


def bricks(x: Field, y: Field, dice: Dice) -> tuple[Field, Field]:
    """A brick wall: the tone of each brick, 0..1, and the share of mortar, 0..1."""
    row = np.floor(y * 3)
    column = np.floor(x * 1.4 + row % 2 * 0.5)
    tone = noise(column * 1.3 + row * 7.1, row * 3.7, dice)
    sideways = np.abs(x * 1.4 + row % 2 * 0.5 - column - 0.5) / 1.4
    upright = np.abs(y * 3 - row - 0.5) / 3
    mortar = np.maximum(ramp(sideways, 0.33, 0.35), ramp(upright, 0.145, 0.16))
    return tone, mortar


def _between(first: Field, second: Field, share: Field) -> Field:
    return np.asarray(first + (second - first) * share, np.float32)
