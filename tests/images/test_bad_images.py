"""What cannot be used as a photo: one reason, whatever is wrong with it."""

from __future__ import annotations

import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from fuzz.seeds import sound_images
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import SAMPLES, encode, is_near, quadrants, reason
from PIL import Image, ImageFile
from reference.picture import RGB
from reference.tiffs import tiff

from retrain_cli.errors import ImageError
from retrain_cli.images.decode import (
    MAX_PIXELS,
    check_image,
    decode_image,
    load_rgb,
)


def truncated(kind: str, share: float) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), kind)
    return data[: int(len(data) * share)]


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "tiff", "webp", "avif"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_truncated_images_are_told(kind: str, share: float) -> None:
    found = reason(truncated(kind, share))
    assert found.startswith(("truncated ", "damaged "))
    if kind in ("jpeg", "png", "bmp", "webp") and share >= 0.5:
        assert found.lower() == f"truncated {kind}"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "0 bytes"),
        (b"Dear diary, \xe2\x80\x9ctoday\xe2\x80\x9d\n" * 30, "not an image (looks like text)"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image (looks like text)"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "not an image"),
        (bytes(range(256)), "not an image"),
    ],
)
def test_what_is_no_image(data: bytes, expected: str) -> None:
    assert reason(data) == expected
    with pytest.raises(ImageError, match=r"^" + expected.split("(", maxsplit=1)[0]):
        check_image(data)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size in its header and holds next to nothing."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    idat = b"IDAT" + zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", len(idat) - 4) + idat
        + struct.pack(">I", zlib.crc32(idat))
    )  # fmt: skip


def test_bombs_are_refused_by_their_header() -> None:
    expected = "50000 x 50000 px is more than the limit of 178 956 970 px"
    assert reason(png_of_size(50_000, 50_000)) == expected
    for kind in ("gif", "bmp"):
        data = bytearray(encode(Image.new("P", (4, 4)), kind))
        at, form = (6, "<HH") if kind == "gif" else (18, "<ii")
        data[at : at + struct.calcsize(form)] = struct.pack(form, 50_000, 50_000)
        assert reason(bytes(data)) == expected
    with pytest.raises(ImageError, match="50000 x 50000"):
        check_image(png_of_size(50_000, 50_000))


def test_a_large_image_within_the_limit_passes_without_a_warning() -> None:
    side = 12_000
    assert Image.MAX_IMAGE_PIXELS is not None
    assert Image.MAX_IMAGE_PIXELS < side * side < MAX_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_image(png_of_size(side, side)) == "png"
        data = encode(Image.new("L", (side, side), 200), "jpeg", quality=30)
        assert is_near(decode_image(data, (20, 20)), (200,) * 3, 3)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(SAMPLES), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255))), st.data()
)
def test_hostile_bytes_become_pixels_or_an_image_error(
    sample: bytes, edits: list[tuple[float, int]], data: st.DataObject
) -> None:
    hurt = bytearray(sample)
    for place, value in edits:
        hurt[int(place * (len(hurt) - 1))] = value
    hurt = hurt[: data.draw(st.integers(1, len(hurt)))]
    for use in (lambda: decode_image(bytes(hurt), (16, 16)), lambda: check_image(bytes(hurt))):
        try:
            use()
        except ImageError as error:
            assert len(str(error)) < 250


@pytest.mark.parametrize(
    "fault",
    [MemoryError(), struct.error("x"), IndexError("x"), ZeroDivisionError("x"), OverflowError("x"),
     SyntaxError("x"), EOFError("x"), KeyError("x"), Image.DecompressionBombError("x")],
)  # fmt: skip
def test_whatever_a_decoder_raises_becomes_an_image_error(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any) -> None:
        raise fault

    monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
    assert reason(encode(quadrants(), "bmp"))


def test_faults_of_ours_are_not_blamed_on_the_image() -> None:
    with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
        patch.setattr(ImageFile.ImageFile, "load", _interrupt)
        decode_image(encode(quadrants(), "bmp"), (8, 8))


def _interrupt(self: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "tags",
    [
        {50706: (1, [1, 4, 0, 0])},  # DNGVersion
        {254: (4, [1]), 330: (4, [8])},  # a preview, and the photo below: NEF, ARW
    ],
)
def test_the_preview_of_a_raw_file_is_not_taken_for_the_photo(tags: Any) -> None:
    data = tiff(RGB.astype(int), 2, 8, None, tags)
    assert reason(data) == "a camera's raw file: export it as JPEG or TIFF from a photo program"


def test_plain_netpbm_of_a_megapixel_takes_no_time() -> None:
    """Pillow goes through it number by number."""
    side = 1000
    grey = np.arange(side * side, dtype=np.uint32).reshape(side, side) % 256
    text = b"\n".join(b" ".join(b"%d" % value for value in row) for row in grey)
    data = b"P2\n%d %d\n255\n" % (side, side) + text
    found = np.asarray(load_rgb(data))
    np.testing.assert_array_equal(found[..., 0], grey)


@pytest.mark.parametrize("kind", ["netpbm-P1", "netpbm-P2", "netpbm-RGB", "netpbm-P7", "netpbm-PF"])
def test_cut_netpbm_is_told(kind: str) -> None:
    data = sound_images()[kind]
    for share in (0.02, 0.5, 0.95):
        assert reason(data[: int(len(data) * share)]).startswith(("truncated Netpbm", "not an im"))
