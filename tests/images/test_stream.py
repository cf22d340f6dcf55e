"""A stream of images is cut exactly where one ends, in pieces of any size."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrain_cli.images.stream import split_images


def encoded(kind: str, seed: int, **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (20 + seed, 30, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def with_thumbnail() -> bytes:
    """A JPEG whose EXIF segment holds another whole JPEG."""
    inner, outer = encoded("JPEG", 1), encoded("JPEG", 2)
    segment = b"Exif\0\0" + inner
    return outer[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + outer[2:]


IMAGES = [
    encoded("JPEG", 3),
    encoded("PNG", 4),
    with_thumbnail(),
    encoded("JPEG", 5, progressive=True),
    encoded("JPEG", 6, quality=100),
]


@settings(deadline=None)
@given(order=st.lists(st.sampled_from(range(5)), max_size=6), piece=st.integers(1, 70_000))
def test_each_image_comes_out_as_it_went_in(order: list[int], piece: int) -> None:
    stream = b"".join(IMAGES[number] for number in order)
    step = max(piece, len(stream) // 200 + 1)
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    assert list(split_images(pieces)) == [IMAGES[number] for number in order]


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "TIFF"])
def test_other_formats_are_one_image(kind: str) -> None:
    data = encoded(kind, 1)
    assert list(split_images([data[:100], data[100:]])) == [data]


@pytest.mark.parametrize("cut", [1, 2, 3, 20, 400])
def test_a_cut_image_comes_out_as_the_rest(cut: int) -> None:
    data = encoded("JPEG", 3)[:-cut]
    assert list(split_images([data])) == [data]


@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"]))
def test_nothing_is_lost_of_any_bytes(data: bytes, start: bytes) -> None:
    assert b"".join(split_images([start + data])) == start + data
