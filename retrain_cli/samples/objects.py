"""Things that are made: umbrellas, rockets and snowmen."""

from __future__ import annotations

import numpy as np

from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import (
    Colour,
    Field,
    box,
    circle,
    ellipse,
    mix,
    polygon,
    ramp,
    rotated,
    stroke,
)
from retrain_cli.samples.layer import Layer
from retrain_cli.samples.textures import noise

BRIGHT: list[Colour] = [
    (0.84, 0.12, 0.14),
    (0.12, 0.32, 0.7),
    (0.96, 0.78, 0.12),
    (0.14, 0.5, 0.3),
    (0.45, 0.2, 0.55),
    (0.95, 0.45, 0.12),
    (0.1, 0.1, 0.13),
    (0.9, 0.5, 0.65),
]
PALE: list[Colour] = [(0.95, 0.94, 0.92), (0.85, 0.86, 0.88), (0.93, 0.86, 0.7), (0.7, 0.74, 0.78)]
HAT_BLACK: Colour = (0.09, 0.09, 0.11)


def draw_umbrella(layer: Layer, dice: Dice) -> None:
    """A canopy of gores with a scalloped hem, a spike on top, a shaft and a hooked handle."""
    width, height = dice.between(0.75, 0.98), dice.between(0.45, 0.75)
    gores, hem = dice.pick([4, 5, 6, 7]), dice.between(-0.05, 0.2)
    _draw_shaft(layer, dice, hem)
    tip = hem + height
    layer.fill(stroke(layer.x, layer.y, (0, tip), (0, tip + 0.12), 0.02), (0.2, 0.2, 0.2))
    across, along = layer.x / width, (layer.y - hem) / height
    near = np.sqrt(np.clip(1 - across**2 - along**2, 0, 1))
    scallop = 0.1 * np.abs(np.sin(np.pi * _longitude(across, gores)))
    dome = ellipse(layer.x, layer.y - hem, width, height)
    # a gore narrows towards the tip as the canopy does
    place = _longitude(across / np.sqrt(np.clip(1 - along**2, 1e-3, 1)), gores)
    colours = np.asarray(_canopy_colours(dice), np.float32)
    panels = colours[np.clip(np.floor(place), 0, gores - 1).astype(int) % len(colours)]
    rib = ramp(np.abs(place - np.floor(place + 0.5)), 0.02, 0.07)
    sag = 0.82 + 0.18 * rib + 0.1 * np.sin(np.pi * (place - np.floor(place)))
    cloth = layer.lit(panels * sag[..., None], (across, along, near), dice.between(0, 0.2))
    layer.fill(np.maximum(dome, hem + scallop - layer.y), cloth)


def draw_rocket(layer: Layer, dice: Dice) -> None:
    """A body that narrows to a coloured nose, with fins, a porthole or two and often a flame."""
    half, tail = dice.between(0.17, 0.32), dice.between(-0.7, -0.5)
    paint, accent = dice.pick(PALE + BRIGHT[:3]), dice.pick(BRIGHT)
    if dice.chance(0.6):
        _draw_flame(layer, dice, half, tail)
    _draw_fins(layer, dice, half, tail, accent)
    share = np.clip((layer.y - tail) / (1 - tail), 0, 1)
    profile = (
        half
        * np.sqrt(np.clip(1 - share ** dice.between(2.0, 4.0), 0, 1))
        * (0.8 + 0.2 * ramp(share, 0, 0.3))
    )
    across = layer.x / np.maximum(profile, 1e-3)
    body = np.maximum(np.abs(layer.x) - profile, np.maximum(tail - layer.y, layer.y - 0.99))
    line = dice.between(0.6, 0.75)
    nose = ramp(share, line, line + 0.01)
    skin = mix(paint, accent, nose)
    band = dice.between(0.1, 0.3)
    skin = mix(skin, accent, ramp(share, band, band + 0.01) - ramp(share, band + 0.06, band + 0.07))
    layer.fill(np.asarray(body, np.float32), skin * layer.rounded(across, dice.between(0.1, 0.5)))
    for height in (0.25, -0.12)[: dice.count(1, 2)]:
        _draw_porthole(layer, height, half * 0.48)


def draw_snowman(layer: Layer, dice: Dice) -> None:
    """Two or three balls of snow with a face, and by chance hat, scarf, arms and buttons."""
    heights, sizes = ([-0.55, 0.1, 0.58], [0.46, 0.34, 0.24])
    if dice.chance(0.3):
        heights, sizes = [-0.45, 0.35], [0.55, 0.38]
    sizes = [size * dice.between(0.9, 1.1) for size in sizes]
    if dice.chance(0.7):
        _draw_arms(layer, dice, heights[-2] + 0.1, sizes[-2])
    tint = np.asarray(dice.pick([(0.95, 0.96, 1.0), (0.9, 0.93, 0.99), (0.98, 0.96, 0.92)]))
    for height, size in zip(heights, sizes, strict=True):
        ball = layer.ball(dice.around(0, 0.04), height, size)
        lumps = 0.93 + 0.14 * noise(layer.x * 9, layer.y * 9, dice)
        layer.fill(ball.distance, layer.lit(tint * lumps[..., None], (ball.x, ball.y, ball.z)))
    _draw_buttons(layer, dice, heights[-2], sizes[-2])
    _draw_face(layer, dice, heights[-1], sizes[-1])
    if dice.chance(0.6):
        _draw_scarf(layer, dice, heights[-1] - sizes[-1] * 0.9, sizes[-1])
    hat = dice.pick([_draw_top_hat, _draw_top_hat, _draw_woolly_hat, None])
    if hat:
        hat(layer, dice, heights[-1] + sizes[-1] * 0.75, sizes[-1])


def _longitude(across: Field, gores: int) -> Field:
    """Which gore of a round canopy is seen at -1 (left) to 1 (right): 0 to `gores`."""
    return np.asarray((np.arcsin(np.clip(across, -1, 1)) / np.pi + 0.5) * gores, np.float32)


def _canopy_colours(dice: Dice) -> list[Colour]:
    first = dice.pick(BRIGHT)
    if dice.chance(0.45):
        return [first]
    return [first, dice.pick(PALE + BRIGHT)]


def _draw_shaft(layer: Layer, dice: Dice, hem: float) -> None:
    """The umbrella's shaft with a hook, or with a straight end as on a beach."""
    grip = dice.pick([(0.35, 0.2, 0.1), (0.12, 0.12, 0.13), (0.6, 0.4, 0.2)])
    foot = dice.between(-0.95, -0.7)
    layer.fill(stroke(layer.x, layer.y, (0, hem + 0.3), (0, foot), 0.022), (0.55, 0.56, 0.58))
    if dice.chance(0.3):
        return
    layer.fill(stroke(layer.x, layer.y, (0, foot + 0.25), (0, foot), 0.036), grip)
    ring = np.abs(circle(layer.x - 0.11, layer.y - foot, 0.11)) - 0.036
    layer.fill(np.maximum(ring, layer.y - foot), grip)


def _draw_flame(layer: Layer, dice: Dice, half: float, tail: float) -> None:
    length = dice.between(0.3, 0.6)
    flicker = 0.04 * np.sin(layer.y * 22 + dice.between(0, 6))
    for share, colour in (
        (1.0, (0.95, 0.35, 0.05)),
        (0.7, (1.0, 0.7, 0.1)),
        (0.4, (1.0, 0.97, 0.75)),
    ):
        x = layer.x + flicker * share
        layer.fill(ellipse(x, layer.y - tail, half * 0.75 * share, length * share), colour, 0.9)


def _draw_fins(layer: Layer, dice: Dice, half: float, tail: float, colour: Colour) -> None:
    spread, rise, drop = (
        dice.between(1.7, 2.6) * half,
        dice.between(0.25, 0.55),
        dice.between(0.02, 0.22),
    )
    corners = [
        (half * 0.5, tail + 0.05),
        (spread, tail - drop),
        (spread, tail + 0.1),
        (half * 0.6, tail + rise),
    ]
    for side, tone in ((-1, 0.75), (1, 1.0)):
        shade = 0.5 + 0.5 * max(0.0, side * layer.light[0]) + 0.1 * tone
        fin = polygon(np.asarray(side * layer.x, np.float32), layer.y, corners)
        layer.fill(fin, np.asarray(colour) * shade)
    nozzle = box(layer.x, layer.y - tail + 0.03, half * 0.5, 0.05)
    layer.fill(nozzle, np.asarray((0.3, 0.3, 0.33)) * layer.rounded(layer.x / (half * 0.5)))


def _draw_porthole(layer: Layer, height: float, size: float) -> None:
    window = circle(layer.x, layer.y - height, size)
    layer.fill(window, (0.6, 0.62, 0.65))
    glass = mix((0.1, 0.2, 0.35), (0.6, 0.8, 0.95), ramp(layer.y - height + layer.x, -size, size))
    layer.fill(window + np.float32(size * 0.25), glass)


def _draw_arms(layer: Layer, dice: Dice, height: float, size: float) -> None:
    for side in (-1, 1):
        hand = (side * (size + dice.between(0.25, 0.45)), height + dice.between(-0.05, 0.4))
        layer.fill(
            stroke(layer.x, layer.y, (side * size * 0.6, height), hand, 0.018), (0.3, 0.2, 0.12)
        )
        for turn in (-0.12, 0.12):
            finger = (hand[0] + side * 0.08, hand[1] + turn)
            layer.fill(stroke(layer.x, layer.y, hand, finger, 0.012), (0.3, 0.2, 0.12))


def _draw_buttons(layer: Layer, dice: Dice, height: float, size: float) -> None:
    for place in (0.45, 0.0, -0.45)[: dice.count(0, 3)]:
        layer.fill(circle(layer.x, layer.y - height - place * size, 0.035), (0.08, 0.08, 0.09))


def _draw_face(layer: Layer, dice: Dice, height: float, size: float) -> None:
    """Coal eyes, a carrot for the nose and sometimes a mouth of coals."""
    look = dice.around(0, 0.3) * size
    x, y = layer.x - look, layer.y - height
    for side in (-1, 1):
        layer.fill(circle(x - side * size * 0.33, y - size * 0.25, size * 0.11), (0.06, 0.06, 0.07))
    if dice.chance(0.7):
        for step in range(-2, 3):
            drop = size * (0.55 - 0.05 * step**2)
            layer.fill(circle(x - step * size * 0.16, y + drop, size * 0.055), (0.08, 0.08, 0.09))
    turned_x, turned_y = rotated(x, y + size * 0.05, dice.between(-0.5, 0.3))
    carrot = polygon(
        turned_x,
        turned_y,
        [(0, -size * 0.13), (size * dice.between(0.5, 0.95), 0), (0, size * 0.13)],
    )
    layer.fill(carrot, mix((0.8, 0.33, 0.05), (1.0, 0.58, 0.15), ramp(turned_y, -0.04, 0.04)))


def _draw_scarf(layer: Layer, dice: Dice, height: float, size: float) -> None:
    colour, stripe = np.asarray(dice.pick(BRIGHT)), np.asarray(dice.pick(PALE + BRIGHT))
    knit = mix(colour, stripe, ramp(np.sin(layer.x * 30 + layer.y * 12), 0.2, 0.4))
    wrap = ellipse(layer.x, layer.y - height, size * 0.9, size * 0.28)
    side = dice.pick([-1, 1])
    end = box(layer.x - side * size * 0.45, layer.y - height + size * 0.7, size * 0.2, size * 0.7)
    layer.fill(end, knit * 0.85)
    layer.fill(wrap, knit)


def _draw_top_hat(layer: Layer, dice: Dice, height: float, size: float) -> None:
    x, y = rotated(layer.x, layer.y - height, dice.around(0, 0.25))
    colour = np.asarray(dice.pick([HAT_BLACK, HAT_BLACK, (0.35, 0.2, 0.1), (0.15, 0.2, 0.4)]))
    tone = layer.rounded(x / (size * 0.7), 0.2)
    layer.fill(box(x, y - size * 0.5, size * 0.66, size * 0.5), colour * tone)
    layer.fill(box(x, y - size * 0.16, size * 0.67, size * 0.12), dice.pick(BRIGHT))
    layer.fill(ellipse(x, y, size * 1.15, size * 0.13), colour * 1.2)


def _draw_woolly_hat(layer: Layer, dice: Dice, height: float, size: float) -> None:
    x, y = layer.x, layer.y - height
    first, second = dice.pick(BRIGHT), dice.pick(PALE + BRIGHT)
    knit = mix(first, second, ramp(np.sin(y * 60), -0.1, 0.1))
    dome = np.maximum(ellipse(x, y, size * 0.85, size * 0.75), -y)
    layer.fill(dome, knit * layer.rounded(x / (size * 0.9)))
    layer.fill(box(x, y, size * 0.85, size * 0.12) - np.float32(0.02), first)
    layer.fill(circle(x, y - size * 0.8, size * 0.2), second)
