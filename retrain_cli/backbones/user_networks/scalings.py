"""How 8-bit RGB becomes what a user's network takes: by a name, or by a mean and a deviation.

tf                                       x / 127.5 - 1
torch                                    (x / 255 - mean) / deviation, those of ImageNet
caffe                                    BGR less ImageNet's mean
none                                     0..255, as it is
0.5/0.5                                  (x / 255 - 0.5) / 0.5
0.48,0.46,0.41/0.27,0.26,0.28            the same for red, green and blue
none:bgr, 0/1:bgr                        blue first; mean and deviation then are of B, G, R

All of them are computed in float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, setting

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of 0..1
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)  # BGR, of 0..255

_BGR = ":bgr"
_EACH = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PixelScaling:
    """`(x / divisor - mean) / deviation`, each in the order of the network's own channels.

    Attributes:
        divisor: of all pixels.
        mean: of each channel.
        deviation: of each channel.
        bgr: whether the network takes blue first.
    """

    divisor: float = 1.0
    mean: _EACH = (0.0, 0.0, 0.0)
    deviation: _EACH = (1.0, 1.0, 1.0)
    bgr: bool = False

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scale `(n, height, width, 3) uint8` RGB."""
        pixels = images[..., ::-1] if self.bgr else images
        scaled = pixels.astype(np.float32) / np.float32(self.divisor)
        shifted = scaled - np.asarray(self.mean, np.float32)
        return np.asarray(shifted / np.asarray(self.deviation, np.float32), np.float32)


_NAMED = {
    "tf": PixelScaling(127.5, (1.0, 1.0, 1.0)),
    "torch": PixelScaling(255.0, IMAGENET_MEAN, IMAGENET_DEVIATION),
    "caffe": PixelScaling(1.0, CAFFE_MEAN, bgr=True),
    "none": PixelScaling(),
}


def parse_scaling(text: str) -> PixelScaling:
    """What a scaling's text means.

    Raises:
        ConfigError: it is none.
    """
    if text in _NAMED:
        return _NAMED[text]
    body, bgr = text.removesuffix(_BGR), text.endswith(_BGR)
    try:
        if body in _NAMED:
            named = _NAMED[body]
            if named.bgr:
                raise ValueError("caffe is BGR already")
            return PixelScaling(named.divisor, named.mean[::-1], named.deviation[::-1], bgr)
        means, slash, deviations = body.partition("/")
        if not slash:
            raise ValueError("a mean and a deviation have a / between them")
        mean, deviation = _each(means), _each(deviations)
        if min(deviation) <= 0:
            raise ValueError("a deviation is above 0")
    except ValueError as error:
        raise ConfigError(
            f"{setting('scaling')} takes tf, torch, caffe, none, or MEAN/DEVIATION of pixels in "
            f"0..1, such as 0.5/0.5 or 0.48,0.46,0.41/0.27,0.26,0.28, not {text!r:.80} ({error}); "
            f"{_BGR} behind it is for blue first"
        ) from error
    return PixelScaling(255.0, mean, deviation, bgr)


def canonical_scaling(text: str) -> str:
    """The one text of all that mean the same: it counts in a backbone's fingerprint.

    Raises:
        ConfigError: it is no scaling.
    """
    meant = parse_scaling(text)
    known = next((name for name, scaling in _NAMED.items() if scaling == meant), None)
    if known is not None:
        return known
    usual = PixelScaling(meant.divisor, meant.mean[::-1], meant.deviation[::-1])
    turned = next((name for name, scaling in _NAMED.items() if scaling == usual), None)
    if turned is not None:
        return turned + _BGR
    return scaling_of(meant.mean, meant.deviation) + (_BGR if meant.bgr else "")


def scaling_of(mean: tuple[float, ...], deviation: tuple[float, ...]) -> str:
    """The text of `(x / 255 - mean) / deviation`."""
    return "/".join(",".join(map(repr, map(float, some))) for some in (mean, deviation))


def _each(text: str) -> _EACH:
    """Three numbers, or one for all three channels."""
    try:
        found = [float(number) for number in text.split(",")]
    except ValueError:
        raise ValueError(f"{text!r:.40} is not one number or three") from None
    if len(found) == 1:
        found *= 3
    if len(found) != 3 or not all(map(math.isfinite, found)):
        raise ValueError(f"{text!r:.40} is not one number or three")
    return (found[0], found[1], found[2])
