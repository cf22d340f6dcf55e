"""Pixels of every mode that image files come in, to 8-bit grey or RGB, and the right way up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_ALPHA_MODES: Final = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_BAND_PIXELS = 1 << 22
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class GreyScale:
    """What grey samples of more than 8 bits mean, where their file says so.

    Attributes:
        white: the greatest value that they can have, and which is white; None where the file does
            not say: floats, signed integers.
        is_inverted: the least value is white.
        is_unsigned: 32 bits that Pillow hands out as signed ones have no sign.
    """

    white: int | None = None
    is_inverted: bool = False
    is_unsigned: bool = False


def flatten(image: Image.Image) -> Image.Image:
    """Turn any mode into `L` (grey) or `RGB`, the same image where it is one of them already.

    What is transparent becomes white.

    Modes of more than 8 bits are scaled, never clipped: see `scale_to_bytes`. An image may have an
    attribute `grey_scale`, which says what its grey values mean, and `painted`: the part
    (left, top, right, bottom) that there is; what is beside it is transparent.
    """
    flat = _flatten(image)
    painted = getattr(image, "painted", None)
    return flat if painted is None else _only(flat, painted)


def _flatten(image: Image.Image) -> Image.Image:
    scale: GreyScale | None = getattr(image, "grey_scale", None)
    if image.mode.startswith(("I", "F")) or (scale and scale.is_inverted):
        return _scale_grey(image, scale or GreyScale())
    if _has_transparency(image):
        return _by_bands(image, "RGB", _lay_on_white)
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.mode in ("L", "RGB"):
        return image  # no copy: it is only looked at
    return image.convert("L" if image.mode == "1" else "RGB")


def _only(image: Image.Image, part: tuple[int, int, int, int]) -> Image.Image:
    """White all around a part of an image, without a second copy in another mode."""
    canvas = Image.new(image.mode, image.size, "white")
    canvas.paste(image.crop(part), part[:2])
    return canvas


def scale_to_bytes(values: NDArray[Any], scale: GreyScale | None = None) -> NDArray[np.uint8]:
    """Scale grey values of more than 8 bits to 0 to 255.

    Unsigned 16-bit values are divided by 257 (65535 is white). Wider integers have no fixed range
    in practice: what fits 8 or 16 bits is taken as that, unsigned ones of more than 24 bits as 32
    bits, anything else is stretched from its least to its greatest value. Floats within [0, 1] are
    multiplied by 255, others are stretched, too.

    Args:
        values: `(height, width)`, any integer or float type.
        scale: what the file says of them.

    Returns:
        `(height, width) uint8`; not-a-number becomes black.
    """
    scale = scale or GreyScale()
    return _scale(values, *_range([_extremes(values)], values.dtype, scale), scale)


def _scale_grey(image: Image.Image, scale: GreyScale) -> Image.Image:
    """`scale_to_bytes` of an image, in two passes over its bands."""
    key = image.info.get("transparency")

    def values(band: Image.Image) -> NDArray[Any]:
        array = np.asarray(band)
        return array.view(np.uint32) if scale.is_unsigned else array

    def convert(band: Image.Image) -> Image.Image:
        array = values(band)
        scaled = _scale(array, low, high, scale)
        if isinstance(key, int):
            scaled[array == key] = 255
        return Image.fromarray(scaled)

    extremes = [_extremes(values(band)) for _, band in _bands(image)]
    first = values(image.crop((0, 0, 1, 1)))
    low, high = _range(extremes, first.dtype, scale)
    return _by_bands(image, "L", convert)


def _scale(
    values: NDArray[Any], low: float, high: float, scale: GreyScale | None = None
) -> NDArray[np.uint8]:
    if values.dtype.kind == "u" and values.dtype.itemsize == 2 and high == _WHITE_16:
        scaled = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    else:
        with np.errstate(invalid="ignore"):  # bits that are no number, of the signalling kind
            wide = values.astype(np.float64)
        wide[~np.isfinite(wide)] = high if scale and scale.is_inverted else low
        wide -= low
        wide *= 255.0 / (high - low)
        scaled = np.asarray(np.rint(np.clip(wide, 0, 255, out=wide)), dtype=np.uint8)
    return 255 - scaled if scale and scale.is_inverted else scaled


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    """Least and greatest finite value; infinite where there is none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.inf, -np.inf
    return float(finite.min()), float(finite.max())


def _range(
    extremes: list[tuple[float, float]], dtype: np.dtype[Any], scale: GreyScale
) -> tuple[float, float]:
    """Values that become black and white."""
    if scale.white is not None and scale.white <= _WHITE_16:
        return 0.0, float(scale.white)
    if (dtype.kind, dtype.itemsize) == ("u", 2):
        return 0.0, _WHITE_16
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    for white in (1.0,) if dtype.kind == "f" else (255.0, _WHITE_16):
        if low >= 0 and high <= white:
            return 0.0, white
    if scale.white is not None and high > _WHITE_24:
        return 0.0, float(scale.white)
    return (low, high) if low < high else (low, low + max(1.0, abs(low)))


_WHITE_16, _WHITE_24 = 65_535.0, 16_777_215.0


def _by_bands(
    image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert pixel by pixel, a band at a time, so that a large image has no second large copy."""
    if image.width * image.height <= _BAND_PIXELS:
        return convert(image)
    canvas = Image.new(mode, image.size)
    for top, band in _bands(image):
        canvas.paste(convert(band), (0, top))
    return canvas


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Where a band begins, and the band: full width, at most `_BAND_PIXELS` if a row is no more."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(image.height, top + rows)))


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """Turn an image upright by its EXIF orientation, 1 to 8 (CIPA DC-008, tag 0x0112)."""
    step = _TURNS.get(orientation)
    return image if step is None else image.transpose(step)


def _has_transparency(image: Image.Image) -> bool:
    """Whether the mode, the palette or a transparent colour (`tRNS`) brings transparency."""
    return image.mode in _ALPHA_MODES or (
        image.mode in ("1", "L", "RGB", "P") and image.has_transparency_data
    )


def _lay_on_white(image: Image.Image) -> Image.Image:
    """Composite an image that has transparency on white."""
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, layer).convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    """CIE L*a*b* (D50), which Pillow converts through its colour management only, to sRGB."""
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    step = ImageCms.buildTransform(lab, rgb, "LAB", "RGB")
    return step.point(image)
