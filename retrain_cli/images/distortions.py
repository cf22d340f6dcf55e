"""Random distortions of photos: each photo as it might have been taken, too.

As in TensorFlow's script retrain.py (`--flip_left_right`, `--random_crop`, `--random_scale`,
`--random_brightness`): a photo is enlarged a little, a part of the wanted size is cut out of it,
may be mirrored, and is made brighter or darker. Quarter turns and colour come on top. What happens
to a view is decided by the photo's content and the number of the view alone, so that it is the
same on every machine, whatever other photos or views there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.checks import check_types
from retrain_cli.errors import ConfigError, setting
from retrain_cli.images.decode import Pixels, decode_image
from retrain_cli.images.examine import content_digest
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT

_MOST_PERCENT = 100.0
_TURNS = (0, 90, 180)
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue give to the grey of a pixel (ITU-R BT.601)."""

_VERSION = 1
"""Raised when a view of the same photo comes out otherwise, so that no old one is taken for it."""


@dataclass(frozen=True, slots=True)
class Distortion:
    """How photos are distorted; each is drawn anew for each view of each photo, evenly.

    Attributes:
        flip: mirror every other view, left to right.
        crop: percent by which the photo is larger than the part that is cut out of it.
        scale: percent by which it is enlarged at most before that.
        brightness: percent by which its values are raised or lowered at most.
        colour: percent by which its colours are made stronger or paler at most.
        rotate: turn by multiples of so many degrees: 90, 180, or 0 for not at all.
    """

    flip: bool = False
    crop: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0
    colour: float = 0.0
    rotate: int = 0

    def __post_init__(self) -> None:
        for name in ("crop", "scale", "brightness", "colour"):
            value = getattr(self, name)
            if not 0 <= value <= _MOST_PERCENT:
                raise ConfigError(
                    f"{setting(f'Distortion.{name}')} is a number of percent from 0 to 100, not "
                    f"{value:g}"
                )
        if self.rotate not in _TURNS:
            raise ConfigError(
                f"{setting('Distortion.rotate')} must be 90, 180 or 0, not {self.rotate}: a photo "
                "keeps its corners in these alone"
            )

    @property
    def is_none(self) -> bool:
        """Whether a view is the photo itself."""
        return self == Distortion()

    def __str__(self) -> str:
        """Such as "flip crop=10 rotate=90"; the same for equal distortions."""
        parts = ["flip"] if self.flip else []
        named = [one.name for one in fields(self)[1:]]
        parts += [f"{name}={getattr(self, name):g}" for name in named if getattr(self, name)]
        return " ".join(parts)

    @classmethod
    def parse(cls, text: str) -> Distortion:
        """The inverse of `str`.

        Raises:
            ConfigError: the text is none that `str` gives.
        """
        values: dict[str, bool | float | int] = {}
        try:
            for part in text.split():
                name, _, value = part.partition("=")
                values[name] = True if name == "flip" else _number(name, value)
            found = cls(**values)  # type: ignore[arg-type]  # checked below
            check_types(found)
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{text!r} describes no distortion ({error})") from error
        return found

    def identity(self) -> str:
        """What names the distortion in a cache: equal ones give equal views of a photo."""
        return f"{self} v{_VERSION}"


USUAL = Distortion(flip=True, crop=10.0, scale=10.0, brightness=10.0)
"""What views are where nobody says otherwise."""


def _number(name: str, value: str) -> float | int:
    return int(value) if name == "rotate" else float(value)


def decode_views(
    data: bytes,
    size: tuple[int, int],
    rule: str,
    distortion: Distortion,
    views: tuple[int, ...],
    timeout: float = PHOTO_TIMEOUT,
) -> NDArray[np.uint8]:
    """Decode an image file once, for several views of it.

    Args:
        data: the file's bytes.
        size: wanted (height, width) in pixels.
        rule: as of `decode_image`.
        distortion: how each view differs.
        views: numbers of the views; 0 is the plain photo, exactly as `decode_image` gives it.
        timeout: as of `decode_image`.

    Returns:
        `(len(views), height, width, 3) uint8`.

    Raises:
        ImageError: as `decode_image`.
    """
    result = np.empty((len(views), *size, 3), np.uint8)
    digest = content_digest(data)
    large: Pixels | None = None
    for place, view in enumerate(views):
        if view == 0:
            result[place] = decode_image(data, size, rule, timeout)
            continue
        if large is None:
            large = decode_image(data, enlarged(size, distortion), rule, timeout)
        result[place] = distort(large, size, distortion, digest, view)
    return result


def enlarged(size: tuple[int, int], distortion: Distortion) -> tuple[int, int]:
    """The size, (height, width), at which a photo is decoded for its views."""
    factor = (1 + distortion.crop / 100) * (1 + distortion.scale / 100)
    height, width = (math.ceil(side * factor) for side in size)
    return height, width


def distort(
    pixels: Pixels, size: tuple[int, int], distortion: Distortion, digest: bytes, view: int
) -> NDArray[np.uint8]:
    """One view of a photo.

    Args:
        pixels: `(height, width, 3) uint8`, the photo at the size that `enlarged` says.
        size: wanted (height, width).
        distortion: how it may differ.
        digest: of the photo's bytes.
        view: number of the view, from 1.

    Returns:
        `(*size, 3) uint8`.
    """
    # Each number has a purpose of its own, so that a view that is turned, too, is the same else.
    chance = np.random.default_rng([view, *digest]).random(8).tolist()
    view_of = _cut(pixels, size, distortion, chance[0:3])
    if distortion.flip and chance[3] < 0.5:
        view_of = view_of[:, ::-1]
    if distortion.rotate:
        step = distortion.rotate // 90
        view_of = np.rot90(view_of, step * int(chance[4] * (4 // step)))
    brightness = 1 + distortion.brightness / 100 * (2 * chance[5] - 1)
    colour = 1 + distortion.colour / 100 * (2 * chance[6] - 1)
    return _lit(view_of, brightness, colour)


def _cut(
    pixels: Pixels, size: tuple[int, int], distortion: Distortion, chance: list[float]
) -> NDArray[np.uint8]:
    """A part of the photo, at random places and of a random size, brought to the wanted size."""
    zoom = (1 + distortion.crop / 100) * (1 + distortion.scale / 100 * chance[0])
    height, width = pixels.shape[:2]
    high, wide = height / zoom, width / zoom
    top, left = chance[1] * (height - high), chance[2] * (width - wide)
    box = (left, top, left + wide, top + high)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR, box))


def _lit(pixels: Pixels, brightness: float, colour: float) -> NDArray[np.uint8]:
    """The pixels brighter or darker, and of stronger or paler colours."""
    if brightness == 1 and colour == 1:
        return np.ascontiguousarray(pixels)
    values = pixels.astype(np.float32) * np.float32(brightness)
    if colour != 1:
        grey = (values @ _GREY)[..., None]
        values = grey + np.float32(colour) * (values - grey)
    lit: NDArray[np.uint8] = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return lit
