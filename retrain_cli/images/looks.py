"""What a photo looks like in a few numbers: size, brightness, contrast, perceptual hash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.decode import decode_image, image_size
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT

LOOK_VERSION: Final = 3
"""Raised whenever `look_at` gives other numbers, so that remembered ones are taken anew."""

HASH_BITS: Final = 64
_SIDE = 64  # of the thumbnail that brightness and contrast come from
_HASH_SIDE = 32
_DIFFERENCES = 8  # of the difference hash, a row, and rows
PARTS: Final = (
    (0.04, 0.04, 0.04, 0.04),
    (0.08, 0.08, 0.08, 0.08),
    (0.1, 0.0, 0.0, 0.0),
    (0.0, 0.1, 0.0, 0.0),
    (0.0, 0.0, 0.1, 0.0),
    (0.0, 0.0, 0.0, 0.1),
)
"""Shares of the sides cut off at the left, the top, the right and the bottom."""

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
        dhash: difference hash, 64 bits: see `difference_hash`.
        parts: both hashes of each of `PARTS` of the photo; a crop of it looks like one of them.
    """

    width: int
    height: int
    brightness: float
    contrast: float
    phash: int
    dhash: int
    parts: tuple[tuple[int, int], ...] = ()

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
    (phash, dhash), *parts = (_hashes(one) for one in (grey, *_parts(grey)))
    return PhotoLook(width, height, brightness, float(grey.std()), phash, dhash, tuple(parts))


def _hashes(grey: NDArray[np.float32]) -> tuple[int, int]:
    return perceptual_hash(grey), difference_hash(grey)


def _parts(grey: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Each of `PARTS`, as large as the whole again."""
    for left, top, right, bottom in PARTS:
        rows, columns = _means(_SIDE, top, 1 - bottom), _means(_SIDE, left, 1 - right)
        yield rows.T @ grey @ columns


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


def difference_hash(grey: NDArray[np.float32]) -> int:
    """64 bits: whether each of 8 x 9 fields is brighter than the field to its left.

    N. Krawetz, "Kind of Like That", The Hacker Factor Blog, 2013. The fields are means of pixels.

    Args:
        grey: `(64, 64) float32`.
    """
    rows = grey.reshape(_DIFFERENCES, -1, len(grey)).mean(axis=1)
    fields = rows @ _means(_DIFFERENCES + 1)
    bits = (fields[:, 1:] > fields[:, :-1]).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def mirrored(
    phashes: NDArray[np.uint64], dhashes: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The hashes that the mirror images of photos have, up to a few bits, from their own.

    Mirroring turns the sign of each odd frequency along a row, whose median is near 0, and what
    grows brighter to the right grows darker, in the opposite order.

    Args:
        phashes: `(n,)` perceptual hashes.
        dhashes: `(n,)` difference hashes.
    """
    octets = np.ascontiguousarray(dhashes)[..., None].view(np.uint8)
    turned = np.ascontiguousarray(~_REVERSED[octets]).view(np.uint64)[..., 0]
    return phashes ^ _ODD_FREQUENCIES, turned


def hamming(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Number of bits in which hashes differ, 0 to 64, element by element."""
    differing = np.bitwise_xor(left, right)
    octets = np.ascontiguousarray(differing)[..., None].view(np.uint8)
    counts: NDArray[np.uint8] = _BITS_SET[octets].sum(axis=-1, dtype=np.uint8)
    return counts


_BITS_SET: Final = np.array([bin(octet).count("1") for octet in range(256)], np.uint8)


_REVERSED: Final = np.array([int(f"{octet:08b}"[::-1], 2) for octet in range(256)], np.uint8)
"""Each octet with its bits in the opposite order; an octet of a difference hash is a row."""

_ODD_FREQUENCIES: Final = np.uint64(0xAAAAAAAAAAAAAAAA)
"""Columns 1, 3, 5, 7 of the 8 x 8 frequencies, which begin with 1."""


@cache
def _means(count: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float32]:
    """Means of equal parts of the share from `low` to `high` of a row of 64 pixels.

    Returns:
        `(64, count) float32`, to be multiplied by from the right; a pixel may be shared.
    """
    pixels, edges = np.arange(_SIDE), np.linspace(low, high, count + 1) * _SIDE
    shared = np.minimum(pixels[:, None] + 1, edges[1:]) - np.maximum(pixels[:, None], edges[:-1])
    parts: NDArray[np.float64] = np.clip(shared, 0, None)
    return np.asarray(parts / parts.sum(axis=0), np.float32)


@cache
def _dct_matrix() -> NDArray[np.float32]:
    """Rows 1 to 8 of the DCT-II of length 32, `(8, 32) float32`; their scale does not matter."""
    frequency, place = np.arange(1, 9)[:, None], np.arange(_HASH_SIDE)[None, :]
    cosines = np.cos(np.pi * frequency * (2 * place + 1) / (2 * _HASH_SIDE))
    return cosines.astype(np.float32)
