"""Photos that are likely of no use for training, told by their look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from retrain_cli.images.looks import PhotoLook

Kind = Literal["blank", "very dark", "tiny", "odd aspect"]

LEAST_CONTRAST: Final = 4.0
"""Grey levels. The flattest of 3,184 Caltech photos has 5.7, an empty page less than 2."""

LEAST_BRIGHTNESS: Final = 40.0
"""Of the brightest 5% of a photo; the darkest of 3,184 Caltech photos reaches 72 of 255."""

LEAST_SIDE: Final = 64
"""Pixels of the shorter side: a backbone of 224 px sees it more than three times enlarged."""

MOST_ASPECT: Final = 3.0
"""Longer over shorter side; squashed to a square, a round thing is then three times as long."""


@dataclass(frozen=True)
class ImageProblem:
    """What is odd about a photo, and the measured value in words."""

    kind: Kind
    detail: str


def image_problems(look: PhotoLook) -> Iterator[ImageProblem]:
    """What is odd about a photo; nothing for most."""
    if look.contrast < LEAST_CONTRAST:
        yield ImageProblem("blank", f"contrast {look.contrast:.1f} of at least {LEAST_CONTRAST:g}")
    elif look.brightness < LEAST_BRIGHTNESS:
        detail = f"its brightest parts have grey level {look.brightness:.0f} of 255"
        yield ImageProblem("very dark", detail)
    if look.shorter_side < LEAST_SIDE:
        yield ImageProblem("tiny", f"{look.width} x {look.height} px")
    if look.aspect > MOST_ASPECT:
        yield ImageProblem("odd aspect", f"{look.width} x {look.height} px, 1:{look.aspect:.1f}")
