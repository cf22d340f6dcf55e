"""JPEGs read straight to pixels are those of Pillow; whatever is odd is left to Pillow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from retrain_cli.images.decode import read_jpeg


def photo(width: int = 150, height: int = 110) -> Image.Image:
    grid = np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "jpeg", **options)
    return out.getvalue()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["RGB", "L"]),
    st.tuples(st.integers(1, 200), st.integers(1, 200)),
    st.integers(5, 98),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.sampled_from([1, 2, 4, 8]),
)
def test_the_pixels_of_pillow(
    mode: Any, size: Any, quality: Any, subsampling: Any, progressive: Any, scale: Any
) -> None:
    data = encode(
        photo(*size).convert(mode),
        quality=quality,
        subsampling=subsampling,
        progressive=progressive,
    )
    expected = Image.open(io.BytesIO(data))
    expected.draft(None, (max(1, size[0] // scale), max(1, size[1] // scale)))
    found = read_jpeg(data, expected.mode, expected.size)
    assert found == (expected.tobytes() if max(expected.size) >= 8 else None)


def test_other_modes_are_left_to_pillow() -> None:
    assert read_jpeg(encode(photo().convert("CMYK")), "CMYK", (150, 110)) is None


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_cut_file_is_left_to_pillow(share: float) -> None:
    data = encode(photo(), quality=90)
    assert read_jpeg(data[: int(len(data) * share)], "RGB", (150, 110)) is None


def test_another_size_than_the_file_has_is_left_to_pillow() -> None:
    data = encode(photo(), quality=90)
    for size in ((160, 120), (149, 110), (140, 100), (20, 20)):
        assert read_jpeg(data, "RGB", size) is None
