"""What a photo looks like in a few numbers: size, brightness, contrast, perceptual hash."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.decode import decode_image, image_size
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT

LOOK_VERSION: Final = 1
"""Raised whenever `look_at` gives other numbers, so that remembered ones are taken anew."""

HASH_BITS: Final = 64
_SIDE = 64  # of the thumbnail that brightness and contrast come from
_HASH_SIDE = 32
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as JPEG has it


@dataclass(frozen=True, slots=True)
class PhotoLook:
    """What one image looks like.

    Attributes:
        width: pixels as stored, before any EXIF rotation.
        height: likewise.
        brightness: 95th percentile of the grey values of a 64 x 64 thumbnail, 0 to 255.
        contrast: standard deviation of these grey values, 0 to 127.5.
        phash: perceptual hash, 64 bits: see `perceptual_hash`.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    phash: int

    @property
    def shorter_side(self) -> int:
        """Pixels."""
        return min(self.width, self.height)

    @property
    def aspect(self) -> float:
        """Longer side over shorter side, at least 1."""
        return max(self.width, self.height) / self.shorter_side


def look_at(data: bytes, timeout: float = PHOTO_TIMEOUT) -> PhotoLook:
    """Decode a thumbnail of an image file and measure it.

    Args:
        data: the file's bytes.
        timeout: as of `decode_image`.

    Raises:
        ImageError: as `decode_image`.
    """
    width, height = image_size(data)
    grey = decode_image(data, (_SIDE, _SIDE), timeout=timeout).astype(np.float32) @ _LUMA
    brightness = float(np.percentile(grey, 95))
    return PhotoLook(width, height, brightness, float(grey.std()), perceptual_hash(grey))


def perceptual_hash(grey: NDArray[np.float32]) -> int:
    """64 bits that stay when a photo is resized, re-encoded or brightened.

    The DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions",
    2010: of a 32 x 32 image the 8 x 8 lowest frequencies, those of index 0 left out, each compared
    with their median.

    Args:
        grey: `(64, 64) float32`.
    """
    small = grey.reshape(_HASH_SIDE, 2, _HASH_SIDE, 2).mean(axis=(1, 3))
    cosines = _dct_matrix()
    low = cosines @ small @ cosines.T
    bits = (low > np.median(low)).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Number of bits in which hashes differ, 0 to 64, element by element."""
    differing = np.bitwise_xor(left, right)
    octets = np.ascontiguousarray(differing)[..., None].view(np.uint8)
    counts: NDArray[np.uint8] = _BITS_SET[octets].sum(axis=-1, dtype=np.uint8)
    return counts


_BITS_SET: Final = np.array([bin(octet).count("1") for octet in range(256)], np.uint8)


@cache
def _dct_matrix() -> NDArray[np.float32]:
    """Rows 1 to 8 of the DCT-II of length 32, `(8, 32) float32`; their scale does not matter."""
    frequency, place = np.arange(1, 9)[:, None], np.arange(_HASH_SIDE)[None, :]
    cosines = np.cos(np.pi * frequency * (2 * place + 1) / (2 * _HASH_SIDE))
    return cosines.astype(np.float32)
