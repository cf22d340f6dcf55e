"""A place on the network's input is found again on the photo, whatever rule and orientation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from retrain_cli.images.decode import decode_image, load_rgb, upright_size
from retrain_cli.images.placement import Placement
from retrain_cli.images.resizing import Resizing

FIELDS = 16
INPUT = (64, 64)  # height, width


def planted(
    size: tuple[int, int], corner: tuple[int, int], side: int, orientation: int, form: str
) -> bytes:
    """A dark photo with a bright square, upright as `size` once it is turned by its EXIF tag."""
    upright = np.full((size[1], size[0], 3), 12, np.uint8)
    left, top = corner
    upright[top : top + side, left : left + side] = 250
    image = Image.fromarray(upright)
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }[orientation]  # fmt: skip
    stored = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, form, exif=exif)
    return buffer.getvalue()


def brightness(pixels: np.ndarray) -> np.ndarray:
    """A grid of the mean brightness of each field of the network's input."""
    height, width = INPUT
    step = height // FIELDS
    return np.asarray(
        pixels.mean(axis=2).reshape(FIELDS, step, FIELDS, width // FIELDS).mean(axis=(1, 3))
    )


@pytest.mark.parametrize("rule", ["squash", "crop", "letterbox", "crop 0.875 bicubic"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(300, 180), (150, 260)])
def test_a_bright_square_is_found_where_it_was_planted(
    rule: str, orientation: int, size: tuple[int, int]
) -> None:
    side = 36
    corner = (size[0] // 2 - 60, size[1] // 2 + 12)
    for form in ("JPEG", "PNG"):
        data = planted(size, corner, side, orientation, form)
        assert upright_size(data) == size
        grid = brightness(decode_image(data, INPUT, rule))
        placement = Placement.by_rule(upright_size(data), INPUT[::-1], rule)
        heat = placement.drawn(grid, size)
        bright = heat > 0.5 * np.nanmax(heat)
        rows, columns = np.nonzero(bright)
        field = max(
            (placement.box[2] - placement.box[0]) / FIELDS,
            (placement.box[3] - placement.box[1]) / FIELDS,
        )
        # Nearer than half a field on each side, and to a tenth of one in the middle.
        middle = (columns.mean() + 0.5, rows.mean() + 0.5)
        wanted = (corner[0] + side / 2, corner[1] + side / 2)
        assert np.allclose(middle, wanted, atol=0.35 * field), (rule, middle, wanted)
        assert columns.min() > corner[0] - field
        assert rows.max() < corner[1] + side + field


@pytest.mark.parametrize("rule", ["squash", "crop", "letterbox"])
def test_the_box_is_where_the_resizing_took_its_pixels(rule: str) -> None:
    photo, goal = (321, 200), (64, 64)
    placement = Placement.by_rule(photo, goal, rule)
    resizing = Resizing.by_rule(photo, goal, rule)
    pad = [(whole - part) // 2 for whole, part in zip(goal, resizing.size, strict=True)]
    for axis in (0, 1):
        start, end = placement.box[axis], placement.box[axis + 2]
        step = (end - start) / goal[axis]
        assert start + pad[axis] * step == pytest.approx(resizing.box[axis])
        last = start + (pad[axis] + resizing.size[axis]) * step
        assert last == pytest.approx(resizing.box[axis + 2])


def test_what_the_network_does_not_see_is_no_number() -> None:
    grid = np.ones((7, 7))
    heat = Placement.by_rule((400, 200), (224, 224), "crop").drawn(grid, (40, 20))
    assert np.isnan(heat[:, :10]).all()
    assert np.isnan(heat[:, 30:]).all()
    assert (heat[:, 10:30] == 1).all()
    for rule in ("squash", "letterbox"):
        assert (Placement.by_rule((400, 200), (224, 224), rule).drawn(grid, (40, 20)) == 1).all()


def test_a_field_has_its_own_number_in_its_middle() -> None:
    grid = np.arange(6.0).reshape(2, 3)
    heat = Placement((3, 2), (0, 0, 3, 2)).drawn(grid, (9, 6))
    assert np.allclose(heat[1::3, 1::3], grid)
    one = Placement((3, 2), (0, 0, 3, 2)).drawn(np.full((1, 1), 5.0), (9, 6))
    assert (one == 5).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("form", ["TIFF", "WEBP", "PNG", "JPEG"])
def test_the_upright_size_is_that_of_the_upright_photo(form: str, orientation: int) -> None:
    data = planted((60, 40), (5, 5), 9, orientation, form)
    assert upright_size(data) == load_rgb(data).size == (60, 40)
