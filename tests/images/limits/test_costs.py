"""What decoding takes, told by the header."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from fuzz.seeds import sound_images
from make_reference_pixels import samples
from pictures import skip_where_pillow_is_older
from PIL import Image
from reference.tiffs import _file

from retrain_cli.images import decode
from retrain_cli.images.codecs.jpeg import scans
from retrain_cli.images.decode import decode_image
from retrain_cli.images.limits.av1 import coded_pixels


def is_suspicious(data: bytes) -> bool:
    with decode._opened(data) as (_, cost):
        return cost.is_suspicious


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def tiff(side: int, tile: int, offsets: list[int], counts: list[int], body: bytes) -> bytes:
    places: dict[int, tuple[int, list[int]]] = {
        256: (4, [side]), 257: (4, [side]), 258: (3, [8]), 259: (3, [8]), 262: (3, [1]),
        277: (3, [1]), 322: (4, [tile]), 323: (4, [tile]), 324: (4, offsets), 325: (4, counts),
    }  # fmt: skip
    return _file(body, places, "<")


def progressive(side: int) -> bytes:
    data = bytearray(encode(Image.new("RGB", (64, 64)), "jpeg", progressive=True))
    at = data.index(b"\xff\xc2")
    data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def many_scans(count: int, side: int = 64) -> bytes:
    data = encode(Image.new("RGB", (64, 64)), "jpeg", progressive=True)
    at = data.index(b"\xff\xc2") + 5
    data = data[:at] + struct.pack(">HH", side, side) + data[at + 4 :]
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 2 + int.from_bytes(data[start + 2 : start + 4], "big"))
    return data[:end] + data[start:end] * count + data[end:]


def lying_avif() -> bytes:
    data = encode(Image.new("RGB", (400, 300)), "avif")
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 40, 30) + data[at + 8 :]


PRESSED = zlib.compress(bytes(16 * 16))
SUSPICIOUS: dict[str, Callable[[], bytes]] = {
    "shared tiles": lambda: tiff(512, 16, [8] * 1024, [len(PRESSED)] * 1024, PRESSED),
    "huge tile": lambda: tiff(16, 32_768, [8], [len(PRESSED)], PRESSED),
    "progressive": lambda: progressive(13_370),
    "scans": lambda: many_scans(1000),
    "webp": lambda: encode(Image.new("RGB", (8000, 5000)), "webp", method=0),
    "avif that lies": lying_avif,
    "jpeg 2000": lambda: encode(Image.new("L", (5000, 5000)), "jpeg2000"),
}
USUAL = {
    name: data
    for name, data in [*samples(), *sound_images().items()]
    if "refused" not in name and name not in ("avif-animated", "tif/ycbcr-u8-planar")
}


@pytest.mark.parametrize("name", SUSPICIOUS)
def test_what_may_take_much_is_suspicious(name: str) -> None:
    assert is_suspicious(SUSPICIOUS[name]())


@pytest.mark.parametrize("name", USUAL)
def test_nothing_usual_is(name: str) -> None:
    skip_where_pillow_is_older(name)
    assert not is_suspicious(USUAL[name]), name


def test_large_photos_are_not() -> None:
    assert not is_suspicious(progressive(4000))
    large = encode(Image.new("RGB", (4000, 3000)), "webp", method=0)
    assert not is_suspicious(large)


@pytest.mark.parametrize("size", [(48, 40), (1000, 700), (33, 3000), (4097, 11)])
def test_the_size_that_an_avif_codes(size: tuple[int, int]) -> None:
    assert coded_pixels(encode(Image.new("RGB", size), "avif")) == size[0] * size[1]


def test_an_avif_that_cannot_be_looked_at() -> None:
    data = sound_images()["avif-RGB"]
    assert coded_pixels(sound_images()["avif-animated"]) is None
    assert coded_pixels(data.replace(b"iloc", b"ilox")) is None
    for end in range(0, len(data), 7):
        coded_pixels(data[:end])


def test_scans_are_counted_where_they_cost() -> None:
    assert scans(encode(Image.new("RGB", (64, 64)), "jpeg") + b"\xff\xda" * 500) == 1
    assert 5 < scans(encode(Image.new("RGB", (64, 64)), "jpeg", progressive=True)) < 20
    assert scans(many_scans(1000)) > 1000
    assert scans(b"\xff\xd8\xff\xff\xff") == 0


def test_repeated_exif_takes_no_time_and_the_first_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.new("RGB", (60, 40)), "jpeg", exif=exif)
    segment = b"\xff\xe1" + struct.pack(">H", 65_533) + b"Exif\0\0" + bytes(65_525)
    end = data.index(b"\xff\xdb")
    hostile = data[:end] + segment * 1000 + data[end:]
    started = time.process_time()
    found = decode_image(hostile, (30, 20))
    assert time.process_time() - started < 5
    assert (found == decode_image(data, (30, 20))).all()
    assert decode.load_rgb(hostile).size == (40, 60)
