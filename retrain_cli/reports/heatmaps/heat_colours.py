"""A heatmap's numbers as pixels: alone, and over the photo."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.errors import ImageError
from retrain_cli.explaining.colours import diverging, sequential
from retrain_cli.explaining.heatmap import Heatmap
from retrain_cli.images.decode import decode_image, upright_size
from retrain_cli.images.photo_files import read_file
from retrain_cli.images.placement import Placement

Pixels = NDArray[np.uint8]

_UNSEEN = (118, 118, 118)
_LEAST, _MOST = 0.3, 0.8
"""How much of the colour lies over the photo, where nothing speaks for the class and most does."""
_COLOURS = 255
"""Of a scale; the last one of a palette stands for what the network does not see."""

_DIMMED = (0.75 * np.arange(256)).astype(np.uint8)
"""What becomes of each grey of a photo under the colours."""


@dataclass(frozen=True, eq=False)
class SmallPhoto:
    """A photo as it is drawn.

    Attributes:
        size: (width, height) of the photo in pixels, upright.
        pixels: `(height, width, 3) uint8` of the drawing.
    """

    size: tuple[int, int]
    pixels: Pixels

    @classmethod
    def read(cls, place: str | bytes, side: int, timeout: float) -> SmallPhoto:
        """Read a photo for a drawing whose longer side has so many pixels.

        Args:
            place: its path or URL, or its bytes.
            side: pixels.
            timeout: as of `decode_image`.

        Raises:
            ImageError: it cannot be read, or is no image any more.
        """
        try:
            data = place if isinstance(place, bytes) else read_file(place)
        except OSError as error:
            raise ImageError(f"cannot be read ({error.strerror or error})") from error
        size = upright_size(data)
        scale = side / max(size)
        width, height = (max(1, round(extent * scale)) for extent in size)
        return cls(size, decode_image(data, (height, width), "squash", timeout))

    @property
    def drawn(self) -> tuple[int, int]:
        """(width, height) of the drawing."""
        return self.pixels.shape[1], self.pixels.shape[0]


def levels(heatmap: Heatmap, placement: Placement, size: tuple[int, int]) -> NDArray[np.float32]:
    """The heat of each pixel, `(height, width)`: 1 is the most, below 0 speaks against the class.

    What the network does not see is not a number.
    """
    most = heatmap.largest or 1.0
    least = -1.0 if heatmap.is_signed else 0.0
    return np.clip(placement.drawn(heatmap.shares / most, size), least, 1.0)


def places(heat: NDArray[np.float32], *, signed: bool) -> Pixels:
    """Where each pixel's heat is in the `palette`, `(height, width) uint8`."""
    half = np.float32((_COLOURS - 1) / 2)
    found = heat * half + half if signed else heat * (2 * half)
    found += np.float32(0.5)
    np.nan_to_num(found, copy=False, nan=_COLOURS)
    return np.asarray(found, np.uint8)


@cache
def palette(*, signed: bool) -> bytes:
    """The colours of heat, three bytes each; the last is for what the network does not see."""
    table = diverging() if signed else sequential()
    return table.tobytes() + bytes(_UNSEEN)


def _coloured(at: Pixels, *, signed: bool) -> Image.Image:
    image = Image.fromarray(at, "L")
    image.putpalette(palette(signed=signed))
    return image.convert("RGB")


def map_alone(heat: NDArray[np.float32], *, signed: bool) -> Pixels:
    """The heat in colours, `(height, width, 3) uint8`."""
    return np.asarray(_coloured(places(heat, signed=signed), signed=signed))


def over_photo(pixels: Pixels, heat: NDArray[np.float32], *, signed: bool) -> Pixels:
    """The colours of the heat over the photo in grey, the stronger the more heat there is."""
    at = places(heat, signed=signed)
    grey = _DIMMED[np.asarray(Image.fromarray(pixels).convert("L"))]
    unseen = at == _COLOURS
    if unseen.any():
        grey[unseen] //= 2
    strength = Image.fromarray(_strengths(unseen=0, signed=signed)[at])
    under = Image.fromarray(grey).convert("RGB")
    return np.asarray(Image.composite(_coloured(at, signed=signed), under, strength))


def overlay(heat: NDArray[np.float32], *, signed: bool) -> Image.Image:
    """The same without the photo, of mode RGBA: to be laid over the photo in grey."""
    at = places(heat, signed=signed)
    image = _coloured(at, signed=signed)
    image.putalpha(Image.fromarray(_strengths(unseen=_MOST, signed=signed)[at]))
    return image


@cache
def _strengths(*, unseen: float, signed: bool) -> NDArray[np.uint8]:
    """How much of each colour of a palette lies over the photo, 0 to 255."""
    heats = np.linspace(-1 if signed else 0, 1, _COLOURS)
    shares = _LEAST + (_MOST - _LEAST) * np.abs(heats)
    return (255 * np.append(shares, unseen)).astype(np.uint8)


def colour_bar(width: int, height: int, *, signed: bool) -> Pixels:
    """The colours from the least to the most, from left to right: `(height, width, 3) uint8`."""
    table = diverging() if signed else sequential()
    row = table[np.linspace(0, len(table) - 1, width).astype(int)]
    return np.repeat(row[np.newaxis], height, axis=0)
