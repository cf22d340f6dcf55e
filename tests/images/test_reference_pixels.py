"""Pixels of every kind of file against those of a reference decoder.

`tools/make_reference_pixels.py` made the table with ImageMagick; where that is installed, the table
itself is checked, too.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from make_reference_pixels import (
    EXPECTED,
    FOLDER,
    UNLIKE_IMAGEMAGICK,
    by_imagemagick,
    has_imagemagick,
    samples,
)
from numpy.typing import NDArray
from pictures import skip_where_pillow_is_older

from retrain_cli.errors import ImageError
from retrain_cli.images.decode import decode_image, load_rgb

IMAGES = dict(samples())
REFUSED = [
    name
    for name in IMAGES
    if name == "tif/ycbcr-u8-planar"
    or (name.startswith("tif/cmyk-u16") and "planar" in name and "zip" not in name)
]
"""Combinations that Pillow has no unpacker for; refused, which is better than wrong."""

TOLERANCES = {"tif/ycbcr": 2, "jpg/": 2}
"""Grey levels; elsewhere 1, for rounding."""


@cache
def expected() -> dict[str, NDArray[np.uint8]]:
    """The table."""
    with np.load(FOLDER / EXPECTED) as table:
        return dict(table)


def tolerance(name: str) -> int:
    return next((most for start, most in TOLERANCES.items() if name.startswith(start)), 1)


def difference(left: Any, right: Any) -> int:
    return int(np.abs(np.asarray(left).astype(int) - np.asarray(right).astype(int)).max())


def test_the_table_has_every_image() -> None:
    assert set(expected()) == set(IMAGES)


@pytest.mark.parametrize("name", sorted(set(IMAGES) - set(REFUSED)))
def test_pixels_are_those_of_the_reference(name: str) -> None:
    skip_where_pillow_is_older(name)
    data, wanted = IMAGES[name], expected()[name]
    found = load_rgb(data)
    assert difference(found, wanted) <= tolerance(name)
    assert difference(decode_image(data, wanted.shape[:2]), found) <= 1


@pytest.mark.parametrize("name", REFUSED)
def test_what_pillow_cannot_unpack_is_refused(name: str) -> None:
    skip_where_pillow_is_older(name)
    with pytest.raises(ImageError, match=r"^damaged TIFF"):
        load_rgb(IMAGES[name])


@pytest.mark.skipif(not has_imagemagick(), reason="needs ImageMagick")
@pytest.mark.parametrize("kind", sorted({name.split("/")[0] for name in IMAGES}))
def test_the_table_is_what_imagemagick_gives(kind: str) -> None:
    names = [name for name in IMAGES if name.startswith(f"{kind}/")][::7]
    for name in names:
        if not name.startswith(tuple(UNLIKE_IMAGEMAGICK)):
            found = by_imagemagick(name, IMAGES[name])
            assert difference(found, expected()[name]) <= tolerance(name), name
