"""The look of a photo: what changes it and what does not."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from retrain_cli.errors import ImageError
from retrain_cli.images.looks import HASH_BITS, hamming, look_at


def scene(seed: int = 0, size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Smooth random shapes, as photos have them; noise alone has no low frequencies."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    chosen: dict[str, Any] = {"format": "JPEG", "quality": 90} | options
    image.save(file, **chosen)
    return file.getvalue()


def distance(one: bytes, other: bytes) -> int:
    hashes = [np.array([look_at(data).phash], np.uint64) for data in (one, other)]
    return int(hamming(*hashes)[0])


def test_versions_of_a_photo_have_nearly_its_hash() -> None:
    image = scene()
    original = encoded(image)
    versions = {
        "half": encoded(image.resize((150, 100))),
        "coarse": encoded(image, quality=30),
        "png": encoded(image, format="PNG"),
        "brighter": encoded(ImageEnhance.Brightness(image).enhance(1.1)),
    }
    assert {
        name: distance(original, data) <= 6 for name, data in versions.items()
    } == dict.fromkeys(versions, True)


def test_other_photos_have_another_hash() -> None:
    distances = [distance(encoded(scene(0)), encoded(scene(seed))) for seed in range(1, 20)]
    assert min(distances) > 18
    assert np.mean(distances) == pytest.approx(HASH_BITS / 2, abs=4)


def test_size_brightness_and_contrast() -> None:
    dark = look_at(encoded(Image.new("RGB", (30, 120), (10, 10, 10))))
    assert (dark.width, dark.height, dark.shorter_side, dark.aspect) == (30, 120, 30, 4)
    assert dark.brightness == pytest.approx(10, abs=2)
    assert dark.contrast < 1
    halves = Image.new("L", (100, 100))
    halves.paste(255, (50, 0, 100, 100))
    look = look_at(encoded(halves, format="PNG"))
    assert look.brightness == 255
    assert look.contrast == pytest.approx(127.5, abs=3)


def test_hamming_counts_bits() -> None:
    left = np.array([0, 0b1011, 2**64 - 1], np.uint64)
    right = np.array([0, 0, 0], np.uint64)
    assert hamming(left, right).tolist() == [0, 3, 64]


def test_bytes_that_are_no_image() -> None:
    with pytest.raises(ImageError):
        look_at(b"hello")
