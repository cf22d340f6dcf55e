"""Draw a small set of photos as from a microscope: 8 classes that ImageNet knows nothing about.

    python tools/make_cells.py FOLDER [--photos 60] [--seed 0]

The classes differ in three things that are seen close up: whether cells hold dark granules or
bright vacuoles, whether those are fine or coarse, and whether the cells lie loose or dense. Stain,
light and place say nothing of the class. Equal arguments give equal pictures.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 160
"""Pixels of a side of each picture."""
_QUALITY = 90

_SIGNS = {"granules": 1.0, "vacuoles": -1.0}
_GRAINS = {"fine": 0.9, "coarse": 1.2}
"""Deviation in pixels of the blur that makes noise a grain."""
_SHARES = {"loose": 0.30, "dense": 0.42}
"""Of the picture that cells cover."""
_RADIUS = 10.5
_SPREAD = 0.06
"""Of the logarithm of each picture's grain, share and radius: classes overlap a little."""
_SKEW = 0.2
"""How far granules differ from vacuoles: few dark spots on light, or few light ones on dark."""
_CONTRAST = 0.25

_MOST_TRIES = 400

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class CellClass:
    """What one class looks like.

    Attributes:
        spots: granules or vacuoles.
        grain: fine or coarse.
        density: loose or dense.
    """

    spots: str
    grain: str
    density: str

    @property
    def name(self) -> str:
        """Also of its folder."""
        return f"{self.spots}_{self.grain}_{self.density}"


CLASSES = tuple(CellClass(*kinds) for kinds in product(_SIGNS, _GRAINS, _SHARES))


def draw(kind: CellClass, generator: np.random.Generator) -> NDArray[np.uint8]:
    """One picture, `(SIDE, SIDE, 3) uint8` RGB."""
    radius = _RADIUS * _varied(generator)
    share = _SHARES[kind.density] * _varied(generator)
    grain = _GRAINS[kind.grain] * _varied(generator)
    body, nucleus = _cells(radius, share, generator)
    texture = _CONTRAST * _spots(grain, _SIGNS[kind.spots], generator)
    shade = body * (0.45 + texture) + nucleus * (0.55 + 0.5 * texture)
    return _stained(_blurred(shade, generator.uniform(0.3, 0.8)), generator)


def _varied(generator: np.random.Generator) -> float:
    return float(np.exp(_SPREAD * generator.standard_normal()))


def _cells(radius: float, share: float, generator: np.random.Generator) -> tuple[Plane, Plane]:
    """How far each pixel is in the body of a cell, and in a nucleus: two planes from 0 to 1."""
    body, nucleus = np.zeros((2, SIDE, SIDE), np.float32)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    for _ in range(_MOST_TRIES):
        if body.mean() >= share:
            break
        own = radius * generator.uniform(0.8, 1.2)
        centre = generator.uniform(-0.5 * own, SIDE + 0.5 * own, 2)
        stretch, turn = generator.uniform(0.85, 1.0), generator.uniform(0, np.pi)
        inner = 0.5 * own * generator.uniform(0.8, 1.2)
        shift = generator.uniform(-0.25, 0.25, 2) * own
        top, left = np.maximum((centre - own - 3).astype(int), 0)
        bottom, right = np.minimum((centre + own + 4).astype(int), SIDE)
        part = np.s_[top:bottom, left:right]
        down, over = y[part] - centre[0], x[part] - centre[1]
        along = np.cos(turn) * over + np.sin(turn) * down
        across = (np.cos(turn) * down - np.sin(turn) * over) / stretch
        away = np.hypot(along, across)
        np.maximum(body[part], np.clip(own - away, 0, 1), out=body[part])
        away = np.hypot(down - shift[0], over - shift[1])
        np.maximum(nucleus[part], np.clip(inner - away, 0, 1), out=nucleus[part])
    return body, nucleus


def _spots(grain: float, sign: float, generator: np.random.Generator) -> Plane:
    """Noise of a grain, skewed to the dark (1) or to the light (-1): mean 0, deviation 1."""
    noise = _blurred(generator.standard_normal((SIDE, SIDE), np.float32), grain)
    spots = sign * np.exp(sign * _SKEW / noise.std() * noise)
    spots -= spots.mean()
    plane: Plane = spots / spots.std()
    return plane


def _blurred(plane: Plane, deviation: float) -> Plane:
    """Convolved with a Gaussian, in the frequency domain: the picture goes on at its other side."""
    y, x = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    factor = np.exp(-2 * (np.pi * deviation) ** 2 * (x**2 + y**2))
    return np.fft.irfft2(np.fft.rfft2(plane) * factor, (SIDE, SIDE)).astype(np.float32)


def _stained(shade: Plane, generator: np.random.Generator) -> NDArray[np.uint8]:
    """A dye that takes up light, uneven light, and the camera's noise."""
    dye = np.array([0.55, 1.0, 0.35]) * generator.uniform(0.75, 1.25, 3)
    strength = generator.uniform(0.7, 1.3)
    light = np.array([0.93, 0.90, 0.92]) * generator.uniform(0.85, 1.07)
    slope = generator.uniform(-0.08, 0.08, 2)
    place = np.linspace(-1, 1, SIDE)
    uneven = 1 + slope[0] * place[:, None] + slope[1] * place[None]
    passed = np.exp(-strength * np.maximum(shade, 0)[..., None] * dye)
    picture = light * uneven[..., None] * passed
    picture += 0.02 * generator.standard_normal((SIDE, SIDE, 1), np.float32)
    pixels: NDArray[np.uint8] = (255 * np.clip(picture, 0, 1)).astype(np.uint8)
    return pixels


def write_cells(folder: Path, photos: int = 60, seed: int = 0) -> list[Path]:
    """Write the pictures, a sub-folder a class; each depends on its class, number and seed alone.

    Args:
        folder: where to; made where it is not there.
        photos: pictures of each class.
        seed: others give other pictures.

    Returns:
        The files that were written.
    """
    return list(_written(folder, photos, seed))


def _written(folder: Path, photos: int, seed: int) -> Iterator[Path]:
    for place, kind in enumerate(CLASSES):
        own = folder / kind.name
        own.mkdir(parents=True, exist_ok=True)
        for number in range(photos):
            generator = np.random.default_rng([seed, place, number])
            path = own / f"{number:04d}.jpg"
            Image.fromarray(draw(kind, generator)).save(path, quality=_QUALITY)
            yield path


def main() -> int:
    """Run the tool; returns its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=60, help="pictures of each class")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    paths = write_cells(options.folder, options.photos, options.seed)
    size = sum(path.stat().st_size for path in paths)
    seconds = time.perf_counter() - started
    print(f"{options.folder}: {len(paths)} pictures, {size / 1e6:.1f} MB, {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
