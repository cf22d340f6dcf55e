"""From a decoded image to pixels of the wanted size: which part of it, how large, and the resizing.

Resizing takes more time than decoding a small JPEG. So it is done by `fast_image_resize` (through
the package cykooz.resizer) where that is installed, which computes what Pillow computes, within
one grey level and with the processor's vector instructions, in a quarter to a third of the time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ResizeRule = Literal["squash", "crop", "letterbox"]
"""Of a rule `crop`, a share and a filter may follow: `crop 0.875 bicubic` takes the middle of the
square that `crop` takes, 0.875 of its side, as networks of timm want it."""

LETTERBOX_GREY = 128
"""Padding of `letterbox`: near zero after every backbone's preprocessing, which black is not."""

_REDUCING_GAP = 2.0
"""Larger than so many times the goal, an image is first reduced by a whole number, as a box."""

Size = tuple[int, int]
Box = tuple[float, float, float, float]

_of_thread = threading.local()  # a resizer has buffers of its own and lets one thread in at a time


@dataclass(frozen=True)
class Resizing:
    """What part of an image becomes how large.

    Attributes:
        box: the part, (left, top, right, bottom) in pixels.
        size: (width, height) that it becomes.
        bicubic: whether by the filter of that name, not bilinear.
    """

    box: Box
    size: Size
    bicubic: bool = False

    @staticmethod
    def by_rule(extent: tuple[float, float], goal: Size, rule: str) -> Resizing:
        """Apply a rule.

        Args:
            extent: (width, height) of what is there, in pixels.
            goal: wanted (width, height) in pixels.
            rule: `squash` ignores the aspect ratio, `crop` fills and cuts both ends of the longer
                side, `letterbox` fits inside; see `ResizeRule`.
        """
        name, *details = rule.split()
        share = float(details[0]) if details else 1.0
        box = _centre_box(extent, goal, share) if name == "crop" else (0.0, 0.0, *extent)
        return Resizing(box, inner_size(extent, goal, name), "bicubic" in details)

    @property
    def is_fast(self) -> bool:
        """Whether vector instructions do it; what is to be reduced first is left to Pillow.

        So is what is bicubic: measured on noise, the two differ by up to 13 grey levels there.
        """
        left, top, right, bottom = self.box
        ratio = max((right - left) / self.size[0], (bottom - top) / self.size[1])
        return not self.bicubic and ratio < 2 * _REDUCING_GAP and has_fast_resizer()

    def apply(self, image: Image.Image, pixels: bytes | None = None) -> NDArray[np.uint8]:
        """Resize, antialiased.

        Args:
            image: of mode L or RGB.
            pixels: its pixels row by row, where they are at hand; then it needs not be loaded.

        Returns:
            `(height, width, 3) uint8`.
        """
        if self.is_fast:
            small = self._by_vectors(image, pixels or image.tobytes())
        else:
            whole = Image.frombytes(image.mode, image.size, pixels) if pixels else image
            small = self._by_pillow(whole)
        return small if small.ndim == 3 else np.repeat(small[:, :, np.newaxis], 3, axis=2)

    def _by_vectors(self, image: Image.Image, pixels: bytes) -> NDArray[np.uint8]:
        from cykooz_resizer import CropBox, ImageData, PixelType, ResizeOptions

        bands, kind = ((), PixelType.U8) if image.mode == "L" else ((3,), PixelType.U8x3)
        left, top, right, bottom = self.box
        resizer, algorithm = _resizer()
        source, target = ImageData(*image.size, kind, pixels), ImageData(*self.size, kind)
        crop = CropBox(left, top, right - left, bottom - top)
        resizer.resize(source, target, ResizeOptions(algorithm, crop_box=crop))
        return np.frombuffer(target.get_buffer(), np.uint8).reshape(*self.size[::-1], *bands)

    def _by_pillow(self, image: Image.Image) -> NDArray[np.uint8]:
        by = Image.Resampling.BICUBIC if self.bicubic else Image.Resampling.BILINEAR
        small = image.resize(self.size, by, self.box, reducing_gap=_REDUCING_GAP)
        return np.asarray(small, np.uint8)


@cache
def has_fast_resizer() -> bool:
    """Whether cykooz.resizer is installed; it has no wheels for some processors."""
    try:
        import cykooz_resizer  # noqa: F401
    except ImportError:
        return False
    return True


def _resizer() -> tuple[Any, Any]:
    """The resizer of this thread, and what it is to do."""
    from cykooz_resizer import FilterType, ResizeAlg, Resizer

    if not hasattr(_of_thread, "resizer"):
        _of_thread.resizer = Resizer(), ResizeAlg.convolution(FilterType.bilinear)
    found: tuple[Any, Any] = _of_thread.resizer
    return found


def inner_size(size: tuple[float, float], goal: Size, rule: str) -> Size:
    """Size (width, height) to resize to: the goal, or for `letterbox` what fits inside it."""
    if rule != "letterbox":
        return goal
    scale = min(goal[0] / size[0], goal[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _centre_box(size: tuple[float, float], goal: Size, share: float) -> Box:
    """Centred region (left, top, right, bottom) of the goal's aspect ratio, in pixels.

    `share` is its side of that of the largest one.
    """
    scale = min(size[0] / goal[0], size[1] / goal[1]) * share
    width, height = goal[0] * scale, goal[1] * scale
    left, top = max(0.0, (size[0] - width) / 2), max(0.0, (size[1] - height) / 2)
    return left, top, min(size[0], left + width), min(size[1], top + height)


def pad(pixels: NDArray[np.uint8], goal: Size) -> NDArray[np.uint8]:
    """Centre pixels on grey of the wanted size (width, height); always a new array."""
    height, width = pixels.shape[:2]
    canvas = np.empty((goal[1], goal[0], 3), np.uint8)
    if (width, height) != goal:
        canvas[:] = LETTERBOX_GREY
    left, top = (goal[0] - width) // 2, (goal[1] - height) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas
