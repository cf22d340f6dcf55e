"""Where things stand, lie or fly: one painter per backdrop, each `(Frame, Dice) -> Image`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import Colour, Field, Image, circle, mix, pixel_grid, ramp
from retrain_cli.samples.textures import bricks, fractal, noise, wood


class Footing(Enum):
    """How a thing meets its backdrop, which decides its place and its shadow."""

    STANDING = "standing"
    LYING = "lying"
    FLOATING = "floating"


@dataclass(frozen=True)
class Frame:
    """The picture's size in pixels, and its horizon as a share of the height, from the top."""

    height: int
    width: int
    horizon: float

    def grid(self) -> tuple[Field, Field]:
        """X and y of each pixel in units of the shorter side."""
        x, y = pixel_grid(self.height, self.width)
        side = np.float32(min(self.height, self.width))
        return x / side, y / side

    def depth(self) -> tuple[Field, Field, Field]:
        """Ground coordinates seen in perspective (x, y), and how far below the horizon (0..1)."""
        x, y = self.grid()
        down = y * min(self.height, self.width) / self.height - self.horizon
        near = np.maximum(down, 0.004) / (1 - self.horizon)
        centre = float(x.mean())
        return (x - centre) / (near + 0.15), 1 / (near + 0.15), np.asarray(down, np.float32)


@dataclass(frozen=True)
class Backdrop:
    """A painter and how things meet what it paints."""

    paint: Callable[[Frame, Dice], Image]
    footing: Footing


def paint_sky(frame: Frame, dice: Dice) -> Image:
    """A sky from deep to pale with clouds; sometimes evening or overcast."""
    x, y = frame.grid()
    top, bottom = dice.pick(SKIES)
    sky = mix(top, bottom, ramp(y, 0, 1.1))
    clouds = fractal(x * 2.2, y * 4.5, dice, octaves=5)
    cover = dice.between(0.42, 0.6)
    return mix(sky, _tint((0.97, 0.97, 0.98), dice), 0.9 * ramp(clouds, cover, cover + 0.25))


def paint_meadow(frame: Frame, dice: Dice) -> Image:
    """Grass in perspective under a sky, with a hedge along the horizon."""
    x, y = frame.grid()
    across, away, down = frame.depth()
    blades = fractal(across * 45, away * 9, dice, octaves=3)
    patches = fractal(across * 2, away * 2, dice, octaves=3)
    grass = mix((0.10, 0.24, 0.05), dice.pick(GRASSES), blades)
    grass = grass * (0.65 + 0.6 * patches[..., None])
    hedge = mix((0.05, 0.13, 0.05), (0.2, 0.36, 0.14), fractal(x * 18, y * 18, dice))
    height = 0.05 + 0.16 * fractal(x * 5, x * 0, dice)
    scene = mix(paint_sky(frame, dice), hedge, ramp(down + height, 0, 0.012))
    return mix(scene, grass, ramp(down, -0.004, 0.008))


def paint_beach(frame: Frame, dice: Dice) -> Image:
    """Sand, a strip of sea, and sky."""
    across, away, down = frame.depth()
    ripples = fractal(across * 5, away * 14, dice)
    sand = mix((0.62, 0.5, 0.35), (0.93, 0.84, 0.66), ripples)
    waves = fractal(across * 3, away * 30, dice, octaves=3)
    sea = mix(dice.pick(SEAS), (0.85, 0.93, 0.94), ramp(waves, 0.6, 0.9))
    shore = dice.between(0.1, 0.25) + 0.05 * (noise(across * 1.5, across * 0, dice) - 0.5)
    scene = mix(paint_sky(frame, dice), sea, ramp(down, -0.003, 0.004))
    return mix(scene, sand, ramp(down - shore, -0.01, 0.01))


def paint_snowfield(frame: Frame, dice: Dice) -> Image:
    """Snow under a pale sky, with dark firs along the horizon."""
    x, _ = frame.grid()
    across, away, down = frame.depth()
    drifts = fractal(across * 1.5, away * 4, dice)
    snow = mix((0.66, 0.73, 0.86), (0.97, 0.98, 1.0), ramp(drifts, 0.25, 0.7))
    spacing = dice.between(7, 13)
    tip = np.abs(x * spacing - np.floor(x * spacing) - 0.5)
    height = 0.3 * noise(np.floor(x * spacing), x * 0, dice) + 0.03
    firs = ramp(down + height * (1 - 2 * tip), 0, 0.01)
    scene = mix(paint_sky(frame, dice), _tint((0.12, 0.2, 0.18), dice), firs)
    return mix(scene, snow, ramp(down, -0.005, 0.01))


def paint_room(frame: Frame, dice: Dice) -> Image:
    """A papered wall and a wooden floor."""
    x, y = frame.grid()
    across, away, down = frame.depth()
    wall = np.broadcast_to(np.asarray(dice.pick(WALLS), np.float32), (*x.shape, 3))
    stripe = 0.5 + 0.5 * np.sign(np.sin(x * dice.between(20, 60)))
    wall = (
        wall * (0.9 + dice.between(0, 0.16) * stripe + 0.1 * fractal(x * 3, y * 3, dice))[..., None]
    )
    dark, light = dice.pick(WOODS)
    floor = mix(dark, light, wood(away * 1.2, across * 3, dice))
    skirting = ramp(down + 0.05, 0, 0.006) - ramp(down, -0.003, 0.003)
    scene = mix(wall, (0.92, 0.91, 0.88), skirting)
    return mix(scene, floor, ramp(down, -0.003, 0.003))


def paint_street(frame: Frame, dice: Dice) -> Image:
    """A brick wall behind asphalt or paving."""
    x, y = frame.grid()
    across, away, down = frame.depth()
    scale = dice.between(2.5, 4.5)
    tone, mortar = bricks(x * scale, y * scale, dice)
    red = dice.pick(BRICKS)
    wall = (
        mix(np.asarray(red) * 0.65, red, tone)
        * (0.8 + 0.3 * fractal(x * 30, y * 30, dice))[..., None]
    )
    wall = mix(wall, (0.7, 0.67, 0.62), mortar)
    ground = mix((0.2, 0.2, 0.22), (0.55, 0.54, 0.53), fractal(across * 22, away * 22, dice, 3))
    return mix(wall, ground, ramp(down, -0.004, 0.004))


def paint_table(frame: Frame, dice: Dice) -> Image:
    """A wooden table seen from above."""
    x, y = frame.grid()
    dark, light = dice.pick(WOODS)
    return mix(dark, light, wood(x * 2, y * dice.between(2.2, 4.5) + 0.3, dice))


def paint_cloth(frame: Frame, dice: Dice) -> Image:
    """A checked cloth seen from above."""
    x, y = frame.grid()
    angle = dice.between(-0.5, 0.5)
    turns = dice.between(4, 9)
    warp = np.floor((x + angle * y) * turns) % 2
    weft = np.floor((y - angle * x) * turns) % 2
    cloth = mix(dice.pick(WALLS), dice.pick(CLOTHS), 0.5 * (warp + weft))
    folds = fractal(x * 1.8, y * 1.8, dice, octaves=2)
    threads = fractal(x * 90, y * 90, dice, octaves=1)
    return np.asarray(cloth * (0.6 + 0.5 * folds + 0.15 * threads)[..., None], np.float32)


def paint_foliage(frame: Frame, dice: Dice) -> Image:
    """Greenery far out of focus, with discs of light."""
    x, y = frame.grid()
    dark, light = dice.pick(LEAVES)
    green = mix(dark, light, fractal(x * 3, y * 3, dice, octaves=3))
    for _ in range(dice.count(4, 16)):
        centre_x, centre_y = dice.between(0, 1.3), dice.between(0, 1.3)
        disc = circle(x - centre_x, y - centre_y, dice.between(0.03, 0.12))
        glow = mix(light, _tint((1.0, 0.97, 0.8), dice), np.full_like(x, 0.4))
        green = mix(green, glow, dice.between(0.15, 0.5) * ramp(-disc, -0.006, 0.006))
    return green


def _tint(colour: Colour, dice: Dice) -> Colour:
    """The same colour, a little warmer or colder."""
    warmth = dice.around(0, 0.06)
    return colour[0] + warmth, colour[1], colour[2] - warmth


SKIES: list[tuple[Colour, Colour]] = [
    ((0.16, 0.38, 0.74), (0.68, 0.84, 0.96)),
    ((0.3, 0.52, 0.8), (0.86, 0.92, 0.96)),
    ((0.5, 0.55, 0.62), (0.8, 0.82, 0.84)),
    ((0.28, 0.3, 0.52), (0.97, 0.7, 0.5)),
    ((0.07, 0.1, 0.24), (0.3, 0.36, 0.55)),
]
GRASSES: list[Colour] = [(0.45, 0.66, 0.2), (0.6, 0.68, 0.28), (0.3, 0.58, 0.22)]
SEAS: list[Colour] = [(0.1, 0.42, 0.55), (0.15, 0.55, 0.6), (0.2, 0.36, 0.5)]
WALLS: list[Colour] = [
    (0.93, 0.9, 0.82),
    (0.7, 0.8, 0.85),
    (0.85, 0.72, 0.66),
    (0.62, 0.72, 0.58),
    (0.9, 0.9, 0.92),
]
CLOTHS: list[Colour] = [(0.75, 0.16, 0.16), (0.16, 0.3, 0.6), (0.2, 0.45, 0.25), (0.4, 0.3, 0.5)]
WOODS: list[tuple[Colour, Colour]] = [
    ((0.3, 0.17, 0.08), (0.7, 0.48, 0.28)),
    ((0.5, 0.36, 0.22), (0.9, 0.76, 0.55)),
    ((0.16, 0.1, 0.07), (0.45, 0.3, 0.2)),
    ((0.45, 0.43, 0.4), (0.82, 0.8, 0.76)),
]
BRICKS: list[Colour] = [(0.66, 0.33, 0.24), (0.72, 0.52, 0.38), (0.6, 0.58, 0.56)]
LEAVES: list[tuple[Colour, Colour]] = [
    ((0.05, 0.16, 0.06), (0.4, 0.6, 0.25)),
    ((0.12, 0.2, 0.12), (0.62, 0.68, 0.35)),
    ((0.16, 0.12, 0.06), (0.6, 0.45, 0.22)),
]

SKY = Backdrop(paint_sky, Footing.FLOATING)
FOLIAGE = Backdrop(paint_foliage, Footing.FLOATING)
MEADOW = Backdrop(paint_meadow, Footing.STANDING)
BEACH = Backdrop(paint_beach, Footing.STANDING)
SNOWFIELD = Backdrop(paint_snowfield, Footing.STANDING)
ROOM = Backdrop(paint_room, Footing.STANDING)
STREET = Backdrop(paint_street, Footing.STANDING)
TABLE = Backdrop(paint_table, Footing.LYING)
CLOTH = Backdrop(paint_cloth, Footing.LYING)
