"""Pictures that are in memory already, as the bytes of a file that loses nothing of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from retrain_cli.errors import ConfigError

_KEPT_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
"""Pillow's modes that a PNG holds as they are; others are made RGB by Pillow's own rule."""


def is_picture(thing: object) -> bool:
    """Whether this is a picture of Pillow, or an array of any library: a single one or several."""
    return isinstance(thing, Image.Image) or hasattr(thing, "__array__")


def dimensions(picture: Any) -> int:
    """Dimensions of an array; those of an image where it is one of Pillow's."""
    return 2 if isinstance(picture, Image.Image) else np.ndim(picture)


def encode_picture(picture: Any) -> bytes:
    """The bytes of a PNG of the picture, turned upright where its EXIF says so.

    Args:
        picture: of Pillow; or an array `(height, width)`, `(height, width, 1)`, `(height, width,
            3)` or `(height, width, 4)`: whole numbers from 0 to 255, or fractions from 0 to 1.

    Raises:
        ConfigError: an array of another shape or range, or a picture of fractions.
    """
    image = picture if isinstance(picture, Image.Image) else _image_of(np.asarray(picture))
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ConfigError(
            "a picture of fractions has no black and white of its own, and Pillow's mode is F: "
            "give it as an array of fractions from 0 to 1, or .convert('RGB')"
        )
    if image.mode not in _KEPT_MODES:
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _image_of(array: NDArray[Any]) -> Image.Image:
    height_width_channels = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3, 4))
    if not height_width_channels or 0 in array.shape:
        raise ConfigError(
            "the array of a photo is (height, width) or (height, width, channels) with 1, 3 or 4 "
            f"channels, not {array.shape}: move the channels to the end with numpy.moveaxis"
        )
    pixels = _bytes_of(array)
    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)


def _bytes_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """The same as `uint8`; whole numbers are taken as they are, fractions by 255."""
    if array.dtype.kind not in "uif":
        raise ConfigError(
            f"the array of a photo holds numbers, not {array.dtype}: give whole ones from 0 to "
            "255, or fractions from 0 to 1"
        )
    most = 1.0 if array.dtype.kind == "f" else 255
    low, high = array.min(), array.max()
    if not (low >= 0 and high <= most):  # NaN is neither
        raise ConfigError(
            f"the array of a photo holds whole numbers from 0 to 255 or fractions from 0 to 1, not "
            f"{array.dtype} from {low:g} to {high:g}: bring it to one of them"
        )
    scaled = np.rint(array * 255) if array.dtype.kind == "f" else array
    return np.ascontiguousarray(scaled, np.uint8)
