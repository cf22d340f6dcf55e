"""TensorFlow's operations give our pixels, whatever way up and in whatever format a photo comes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from retrain_cli.engine import load_tensorflow
from retrain_cli.exporting.writers.photo_graph import PhotoGraph
from retrain_cli.images.decode import decode_image
from retrain_cli.images.resizing import has_fast_resizer

SIZE = (48, 48)
LEVELS = 2 if has_fast_resizer() else 3  # grey levels; ours is rounded twice


def picture(width: int, height: int) -> Image.Image:
    """Something smooth that is not the same any way up."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    planes = (255 * x, 255 * y, 127 + 120 * np.sin(9 * x + 4 * y))
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def with_orientation(image: Image.Image, value: int, order: str = "II") -> bytes:
    number = value.to_bytes(2, "little" if order == "II" else "big")
    start = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" if order == "II" else (
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01"
    )  # fmt: skip
    return encoded(image, exif=b"Exif\0\0" + start + number + b"\0\0\0\0\0\0")


@pytest.fixture(scope="module")
def graphs() -> Any:
    """A function of bytes for each rule, traced once."""
    tensorflow = load_tensorflow()
    made: dict[str, Any] = {}

    def run(rule: str, *photos: bytes) -> Any:
        if rule not in made:
            spec = tensorflow.TensorSpec((None,), tensorflow.string)
            made[rule] = tensorflow.function(PhotoGraph(SIZE, rule).from_bytes, [spec])
        return made[rule](tensorflow.constant(photos)).numpy().astype(int)

    return run


@pytest.mark.parametrize("rule", ["squash", "crop 0.875", "letterbox"])
def test_each_resize_rule(rule: str, graphs: Any) -> None:
    photos = [encoded(picture(*size), quality=95) for size in ((150, 100), (60, 90), (500, 300))]
    for photo, found in zip(photos, graphs(rule, *photos), strict=True):
        ours = decode_image(photo, SIZE, rule).astype(int)
        assert np.abs(found - ours).max() <= LEVELS
        assert np.abs(found - ours).mean() < 0.6


@pytest.mark.parametrize("order", ["II", "MM"])
def test_all_eight_orientations(order: str, graphs: Any) -> None:
    photos = [with_orientation(picture(150, 100), value, order) for value in range(10)]
    for photo, found in zip(photos, graphs("squash", *photos), strict=True):
        assert np.abs(found - decode_image(photo, SIZE).astype(int)).max() <= LEVELS


def test_exif_that_makes_no_sense_is_none(graphs: Any) -> None:
    plain = encoded(picture(90, 60))
    whole = with_orientation(picture(90, 60), 6)
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0" + b"\xff" * 40):
        broken = encoded(picture(90, 60), exif=exif)
        assert np.abs(graphs("squash", broken)[0] - graphs("squash", plain)[0]).max() == 0
    assert np.abs(graphs("squash", whole)[0] - graphs("squash", plain)[0]).max() > 50


def test_other_formats(graphs: Any) -> None:
    image = picture(90, 60)
    clear = image.copy()
    clear.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 90), (60, 1)).astype(np.uint8)))
    photos = [
        encoded(image, "PNG"), encoded(clear, "PNG"), encoded(image.convert("L"), "PNG"),
        encoded(image.convert("L"), "JPEG"), encoded(image, "BMP"), encoded(image, "GIF"),
    ]  # fmt: skip
    for photo, found in zip(photos, graphs("squash", *photos), strict=True):
        assert np.abs(found - decode_image(photo, SIZE).astype(int)).max() <= LEVELS


def test_a_photo_that_is_none_fails(graphs: Any) -> None:
    errors = load_tensorflow().errors
    with pytest.raises(errors.InvalidArgumentError):
        graphs("squash", b"\xff\xd8\xff\xe0")
    with pytest.raises(errors.InvalidArgumentError):
        graphs("squash", b"")
