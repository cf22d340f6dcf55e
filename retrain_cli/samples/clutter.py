"""Things beside the point: stones, leaves, twigs, toy balls and boxes."""

from __future__ import annotations

import numpy as np

from retrain_cli.samples.dice import Dice
from retrain_cli.samples.fields import box, ellipse, stroke
from retrain_cli.samples.layer import Layer
from retrain_cli.samples.objects import BRIGHT, PALE
from retrain_cli.samples.textures import noise


def draw_stone(layer: Layer, dice: Dice) -> None:
    """A grey or brown pebble."""
    half_height = dice.between(0.45, 0.9)
    x, y = layer.x, layer.y / half_height
    near = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    grey = np.asarray(dice.pick([(0.5, 0.5, 0.5), (0.55, 0.48, 0.4), (0.35, 0.36, 0.4)]))
    speckle = 0.75 + 0.5 * noise(layer.x * 8, layer.y * 8, dice)
    stone = layer.lit(grey * speckle[..., None], (x, np.asarray(y, np.float32), near))
    layer.fill(ellipse(layer.x, layer.y, 1, half_height), stone)


def draw_leaf(layer: Layer, dice: Dice) -> None:
    """A fallen or green leaf."""
    colour = np.asarray(
        dice.pick([(0.3, 0.5, 0.15), (0.75, 0.45, 0.12), (0.6, 0.2, 0.1), (0.8, 0.7, 0.2)])
    )
    half = 0.5 * np.sqrt(np.clip(1 - layer.x**2, 0, 1)) * (1 - 0.4 * layer.x)
    leaf = np.maximum(np.abs(layer.y) - half, np.abs(layer.x) - 1)
    layer.fill(leaf, colour * (1 + 0.2 * np.sign(layer.y))[..., None])
    layer.fill(stroke(layer.x, layer.y, (-1.3, 0.0), (0.9, 0.0), 0.03), colour * 0.6)


def draw_twig(layer: Layer, dice: Dice) -> None:
    """A stick with a side branch."""
    colour = np.asarray(dice.pick([(0.3, 0.2, 0.12), (0.45, 0.35, 0.25)]))
    fork = dice.between(-0.3, 0.3)
    layer.fill(stroke(layer.x, layer.y, (-1.2, 0.0), (1.2, 0.1), 0.07), colour)
    layer.fill(stroke(layer.x, layer.y, (fork, 0.05), (fork + 0.5, 0.45), 0.05), colour * 0.85)


def draw_toy_ball(layer: Layer, dice: Dice) -> None:
    """A plain ball in one colour."""
    ball = layer.ball(0, 0, 1)
    colour = dice.pick(BRIGHT + PALE)
    layer.fill(ball.distance, layer.lit(colour, (ball.x, ball.y, ball.z), dice.between(0, 0.4)))


def draw_block(layer: Layer, dice: Dice) -> None:
    """A coloured building block."""
    colour = np.asarray(dice.pick(BRIGHT + PALE))
    tall = dice.between(0.5, 1.0)
    layer.fill(box(layer.x, layer.y, 0.8, tall), colour * (0.8 + 0.2 * layer.light[0]))
    layer.fill(box(layer.x, layer.y - tall, 0.8, 0.15), colour * 1.1)


CLUTTER = [draw_stone, draw_leaf, draw_twig, draw_toy_ball, draw_block]
