"""One photograph: a backdrop, a thing with its shadow, clutter around it, light and a camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrain_cli.samples import backdrops as bd
from retrain_cli.samples.backdrops import Backdrop, Footing, Frame
from retrain_cli.samples.balls import draw_beach_ball, draw_soccer_ball
from retrain_cli.samples.clutter import CLUTTER
from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import Field, Image, blurred, coverage, ellipse, pixel_grid
from retrain_cli.samples.layer import Layer, Pose
from retrain_cli.samples.objects import draw_rocket, draw_snowman, draw_umbrella
from retrain_cli.samples.plants import draw_daisy, draw_mushroom, draw_sunflower

SIZES = [(300, 300), (240, 320), (320, 240), (270, 300)]  # (height, width)


@dataclass(frozen=True)
class Thing:
    """What a class looks like.

    Attributes:
        draw: paints one of its kind on a layer.
        tilt: the most that it leans to either side when it stands, radians.
        foot: how far below its centre it stands, in its own units.
        girth: half the width of its shadow on the ground, in its own units.
        backdrops: where it is found.
    """

    draw: Callable[[Layer, Dice], None]
    tilt: float
    foot: float
    girth: float
    backdrops: tuple[Backdrop, ...]


@dataclass(frozen=True)
class Light:
    """The unit vector towards the light (x, y up, towards the viewer), its strength and warmth."""

    direction: tuple[float, float, float]
    strength: float
    warmth: float


THINGS: dict[str, Thing] = {
    "beach_ball": Thing(
        draw_beach_ball, 0, 0.95, 0.7, (bd.BEACH, bd.MEADOW, bd.ROOM, bd.CLOTH, bd.STREET)
    ),
    "daisy": Thing(
        draw_daisy, 0.25, 1.2, 0.15, (bd.FOLIAGE, bd.MEADOW, bd.TABLE, bd.SKY, bd.CLOTH)
    ),
    "mushroom": Thing(draw_mushroom, 0.25, 0.98, 0.35, (bd.MEADOW, bd.FOLIAGE, bd.TABLE, bd.CLOTH)),
    "rocket": Thing(draw_rocket, 0.3, 0.85, 0.45, (bd.SKY, bd.BEACH, bd.TABLE, bd.ROOM, bd.MEADOW)),
    "snowman": Thing(
        draw_snowman, 0.12, 0.98, 0.5, (bd.SNOWFIELD, bd.SNOWFIELD, bd.STREET, bd.MEADOW, bd.TABLE)
    ),
    "soccer_ball": Thing(
        draw_soccer_ball, 0, 0.95, 0.7, (bd.MEADOW, bd.STREET, bd.ROOM, bd.BEACH, bd.CLOTH)
    ),
    "sunflower": Thing(
        draw_sunflower, 0.25, 1.2, 0.2, (bd.FOLIAGE, bd.SKY, bd.MEADOW, bd.TABLE, bd.CLOTH)
    ),
    "umbrella": Thing(
        draw_umbrella, 0.35, 0.9, 0.6, (bd.BEACH, bd.STREET, bd.SKY, bd.ROOM, bd.TABLE)
    ),
}


def render(thing: Thing, dice: Dice) -> npt.NDArray[np.uint8]:
    """Make one picture of the thing, `(height, width, 3) uint8`, about 300 pixels a side."""
    height, width = dice.pick(SIZES)
    frame = Frame(height, width, horizon=dice.between(0.3, 0.65))
    backdrop = dice.pick(thing.backdrops)
    light = _choose_light(dice)
    scene = backdrop.paint(frame, dice)
    if dice.chance(0.5):
        scene = blurred(scene, dice.count(1, 4))  # out of focus behind the thing
    pose = _place(thing, backdrop.footing, frame, dice)
    scene = _add_clutter(scene, backdrop.footing, frame, light, dice)
    layer = Layer(height, width, pose, light.direction)
    thing.draw(layer, dice)
    ground = (thing.foot, thing.girth)
    scene = layer.over(_shadowed(scene, layer, ground, backdrop.footing, light))
    if dice.chance(0.3):
        scene = _add_occluder(scene, pose, light, dice)
    return _photographed(scene, light, dice)


def _choose_light(dice: Dice) -> Light:
    angle, height = dice.between(0.1, np.pi - 0.1), dice.between(0.35, 0.85)
    flat = (1 - height**2) ** 0.5
    direction = (flat * float(np.cos(angle)), flat * float(np.sin(angle)), height)
    return Light(direction, strength=dice.between(0.7, 1.2), warmth=dice.around(0, 0.12))


def _place(thing: Thing, footing: Footing, frame: Frame, dice: Dice) -> Pose:
    """A pose that fits the footing: on the ground, anywhere on a table, anywhere in the sky."""
    side = min(frame.height, frame.width)
    scale = side * dice.between(0.18, 0.46)
    x = frame.width * dice.around(0.5, 0.3)
    y = frame.height * dice.around(0.5, 0.28)
    looseness = {Footing.STANDING: 1, Footing.FLOATING: 2, Footing.LYING: 6}[footing]
    angle = dice.around(0, looseness * thing.tilt)
    if footing is Footing.STANDING:
        ground = dice.between(frame.horizon + 0.12, 1.02) * frame.height
        y = ground - thing.foot * scale * float(np.cos(angle))
    return Pose(x, y, scale, angle, dice.chance(0.5), dice.between(0.88, 1.14))


def _shadowed(
    scene: Image, layer: Layer, ground: tuple[float, float], footing: Footing, light: Light
) -> Image:
    """The scene with a shadow: beside what lies, at the foot of what stands.

    Args:
        scene: what the shadow falls on.
        layer: what throws it.
        ground: how far below its centre that stands, and half the width of its shadow there.
        footing: how it meets the scene.
        light: where the light comes from.
    """
    if footing is Footing.FLOATING:
        return scene
    pose, (foot, girth) = layer.pose, ground
    if footing is Footing.LYING:
        reach = 0.12 * pose.scale
        rows, columns = round(light.direction[1] * reach), round(-light.direction[0] * reach)
        shadow = _shifted(layer.alpha, rows, columns)
    else:
        column, row = pixel_grid(*layer.alpha.shape)
        slide = np.sin(pose.angle) * foot - light.direction[0] * 0.3 * girth
        x = column - pose.x - slide * pose.scale
        y = row - pose.y - np.cos(pose.angle) * foot * pose.scale
        shadow = coverage(ellipse(x, y, girth * pose.scale, 0.2 * girth * pose.scale), 1)
    soft = blurred(shadow, max(1, round(pose.scale * 0.08)))
    return np.asarray(scene * (1 - 0.55 * soft[..., None]), np.float32)


def _shifted(alpha: Field, rows: int, columns: int) -> Field:
    """The field moved down and to the right, with zeros behind it."""
    height, width = alpha.shape
    reach = max(abs(rows), abs(columns))
    padded = np.pad(alpha, reach)
    top, left = reach - rows, reach - columns
    return padded[top : top + height, left : left + width]


def _add_clutter(scene: Image, footing: Footing, frame: Frame, light: Light, dice: Dice) -> Image:
    """The scene with some small things in it that have nothing to do with its class."""
    if footing is Footing.FLOATING:
        return scene
    for _ in range(dice.count(0, 5)):
        low = 0.0 if footing is Footing.LYING else frame.horizon + 0.08
        x, y = frame.width * dice.between(0, 1), frame.height * dice.between(low, 1)
        scale = min(frame.height, frame.width) * dice.between(0.03, 0.11)
        pose = Pose(x, y, scale, dice.between(-3, 3))
        layer = Layer(frame.height, frame.width, pose, light.direction)
        dice.pick(CLUTTER)(layer, dice)
        scene = layer.over(_shadowed(scene, layer, (0.7, 0.9), footing, light))
    return scene


def _add_occluder(scene: Image, behind: Pose, light: Light, dice: Dice) -> Image:
    """The scene with one small thing in front of the thing, a little to its side."""
    height, width = scene.shape[:2]
    x = behind.x + behind.scale * dice.between(-1, 1)
    y = behind.y + behind.scale * dice.between(0.2, 0.9)
    pose = Pose(x, y, behind.scale * dice.between(0.15, 0.4), dice.between(-3, 3))
    layer = Layer(height, width, pose, light.direction)
    dice.pick(CLUTTER)(layer, dice)
    return layer.over(scene)


def _photographed(scene: Image, light: Light, dice: Dice) -> npt.NDArray[np.uint8]:
    """What the camera makes of it: exposure, colour cast, vignette, blur and noise."""
    height, width = scene.shape[:2]
    x, y = pixel_grid(height, width)
    off_centre = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2
    falloff = 1 - dice.between(0, 0.5) * off_centre
    cast = np.asarray((1 + light.warmth, 1.0, 1 - light.warmth), np.float32)
    photo = scene * cast * light.strength * falloff[..., None]
    photo = blurred(photo, dice.pick([0, 0, 0, 1, 1, 2]))
    grain = dice.between(0, 0.05) * (dice.field(height, width, 1) - 0.5)
    return np.asarray(np.clip((photo + grain) * 255 + 0.5, 0, 255), np.uint8)
