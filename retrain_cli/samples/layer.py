"""A transparent layer that one thing is drawn on, in its own coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from retrain_cli.samples.fields import Field, Image, circle, coverage, pixel_grid, rotated


@dataclass(frozen=True)
class Pose:
    """Where a thing is and how it is turned.

    Attributes:
        x: its centre, pixels from the left.
        y: its centre, pixels from the top.
        scale: pixels per unit; a thing fits into a circle of radius 1 or so.
        angle: radians, anticlockwise.
        mirrored: left and right swapped.
        stretch: how much wider it is than drawn.
    """

    x: float
    y: float
    scale: float
    angle: float = 0.0
    mirrored: bool = False
    stretch: float = 1.0

    def coordinates(self, height: int, width: int) -> tuple[Field, Field]:
        """The thing's own x (to the right) and y (upwards) at each pixel."""
        column, row = pixel_grid(height, width)
        x, y = rotated((column - self.x) / self.scale, (self.y - row) / self.scale, self.angle)
        side = -1 if self.mirrored else 1
        return np.asarray(x * side / self.stretch, np.float32), np.asarray(y, np.float32)


@dataclass(frozen=True)
class Ball:
    """A sphere seen from the front: its distance field and its unit normals."""

    distance: Field
    x: Field
    y: Field
    z: Field


class Layer:
    """Colour and opacity of each pixel, and the light that falls on them.

    Attributes:
        x: the thing's own coordinate to the right at each pixel, `(height, width) float32`.
        y: the same, upwards.
        rgb: colour times opacity, `(height, width, 3) float32`, 0..1.
        alpha: opacity, `(height, width) float32`, 0..1.
        light: unit vector towards the light in the thing's own axes (x, y, towards the viewer).
    """

    def __init__(
        self, height: int, width: int, pose: Pose, light: tuple[float, float, float]
    ) -> None:
        self.pose = pose
        self.x, self.y = pose.coordinates(height, width)
        self.rgb = np.zeros((height, width, 3), np.float32)
        self.alpha = np.zeros((height, width), np.float32)
        cosine, sine = float(np.cos(pose.angle)), float(np.sin(pose.angle))
        across = cosine * light[0] + sine * light[1]
        side = -1 if pose.mirrored else 1
        self.light = (side * across, cosine * light[1] - sine * light[0], light[2])

    def fill(self, distance: Field, colour: npt.ArrayLike, opacity: float = 1.0) -> None:
        """Paint a shape over what is there, in one colour `(3,)` or one for each pixel."""
        share = coverage(distance, self.pose.scale) * np.float32(opacity)
        paint = np.clip(np.asarray(colour, np.float32), 0, 1)
        self.rgb += share[..., None] * (paint - self.rgb)
        self.alpha += share * (1 - self.alpha)

    def ball(self, x: float, y: float, radius: float) -> Ball:
        """The sphere around (x, y)."""
        across, along = (self.x - x) / radius, (self.y - y) / radius
        near = np.sqrt(np.clip(1 - across**2 - along**2, 0, 1))
        return Ball(circle(self.x - x, self.y - y, radius), across, along, near)

    def lit(
        self,
        colour: npt.ArrayLike,
        normals: tuple[Field, Field, Field],
        gloss: float = 0.0,
    ) -> Image:
        """The colour of a surface in this light: Lambert's law, and a highlight if `gloss` > 0."""
        x, y, z = normals
        toward = x * self.light[0] + y * self.light[1] + z * self.light[2]
        shade = 0.42 + 0.68 * np.clip(toward, 0, 1)
        mirrored = np.clip(2 * toward * z - self.light[2], 0, 1)
        image = (
            np.asarray(colour, np.float32) * shade[..., None] + gloss * mirrored[..., None] ** 24
        )
        return np.asarray(image, np.float32)

    def rounded(self, across: Field, gloss: float = 0.0) -> Field:
        """The brightness of an upright tube, where `across` runs from -1 (left edge) to 1."""
        x = np.clip(across, -1, 1)
        z = np.sqrt(1 - x**2)
        white = self.lit((1, 1, 1), (x, np.zeros_like(x), z), gloss)
        return np.asarray(white[..., :1], np.float32)

    def over(self, scene: Image) -> Image:
        """The scene with this layer on top of it."""
        return self.rgb + scene * (1 - self.alpha[..., None])
