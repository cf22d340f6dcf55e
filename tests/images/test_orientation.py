"""The EXIF orientation in whatever type it is stored."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from reference.picture import GREY, RGB
from reference.tiffs import Layout, tiff

from retrain_cli.images.decode import decode_image, load_rgb
from retrain_cli.images.orientation import as_number
from retrain_cli.images.pixels import turn

STORED: dict[str, tuple[int, int, bytes | str]] = {
    "BYTE": (1, 1, b"\6"),
    "ASCII": (2, 2, b"6\0"),
    "ASCII-alone": (2, 1, b"6"),
    "SHORT": (3, 1, "H"),
    "SHORT-twice": (3, 2, "HH"),
    "LONG": (4, 1, "I"),
    "SBYTE": (6, 1, b"\6"),
    "UNDEFINED": (7, 1, b"\6"),
    "UNDEFINED-2": (7, 2, "H"),
    "UNDEFINED-4": (7, 4, "I"),
    "SSHORT": (8, 1, "H"),
    "SLONG": (9, 1, "I"),
    "FLOAT": (11, 1, "f"),
    "IFD": (13, 1, "I"),
}


def exif(name: str, order: str) -> bytes:
    kind, count, value = STORED[name]
    stored = value if isinstance(value, bytes) else struct.pack(order + value, *[6] * len(value))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "IHHHI", 8, 1, 0x0112, kind, count) + stored.ljust(4, b"\0")
    return b"Exif\0\0" + magic + entry + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_every_type_turns_the_photo(kind: str, name: str, order: str) -> None:
    photo = Image.fromarray(RGB).resize((64, 48))
    out = io.BytesIO()
    photo.save(out, kind, exif=exif(name, order), quality=95)
    found = load_rgb(out.getvalue())
    assert found.size == (48, 64)
    assert decode_image(out.getvalue(), (64, 48)).shape == (64, 48, 3)
    wanted = np.asarray(turn(photo, 6)).astype(int)
    assert np.abs(np.asarray(found) - wanted).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [1, 3, 4])
@pytest.mark.parametrize("compression", [1, 8])
def test_tiffs_are_turned_once(orientation: int, kind: int, compression: int) -> None:
    tags = {274: (kind, [orientation])}
    for samples, photometric, bits in (
        (RGB.astype(int), 2, 8),
        (65535 - GREY.astype(int)[..., None] * 257, 0, 16),
    ):
        data = tiff(samples, photometric, bits, Layout(compression=compression), tags)
        upright = Image.fromarray(RGB if photometric else GREY).convert("RGB")
        np.testing.assert_array_equal(load_rgb(data), turn(upright, orientation))


@pytest.mark.parametrize(
    "value", [b"", b"junk", "junk", "", None, (), [], float("nan"), float("inf"), 6.5, b"\6\6"]
)
def test_what_is_no_number(value: object) -> None:
    assert as_number(value) is None
