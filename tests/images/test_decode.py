"""Decoding: every format and mode to upright 8-bit RGB, and one reason for what cannot be used."""

from __future__ import annotations

import io
import struct
import sys
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import (
    BLUE,
    FORMATS,
    GREEN,
    RED,
    SAMPLES,
    WHITE,
    big_endian_tiff,
    corners,
    encode,
    half_transparent,
    is_near,
    quadrants,
)
from PIL import Image, ImageFile, TiffImagePlugin

from retrain_cli.errors import ImageError
from retrain_cli.images import decode
from retrain_cli.images.decode import (
    check_image,
    decode_image,
    load_rgb,
)
from retrain_cli.images.resizing import LETTERBOX_GREY, ResizeRule, Resizing

ORIENTATION = 0x0112
RULES: tuple[ResizeRule, ...] = ("squash", "crop", "letterbox")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("rule", RULES)
def test_every_format_to_rgb(kind: str, rule: ResizeRule) -> None:
    data = encode(quadrants(64, 64), kind, **FORMATS[kind])
    pixels = decode_image(data, (40, 40), rule)
    assert pixels.shape == (40, 40, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert is_near(corners(pixels), [RED, GREEN, BLUE, WHITE])
    assert check_image(data) == kind


def test_heic_through_its_extra() -> None:
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    out = io.BytesIO()
    heif.from_pillow(quadrants()).save(out, quality=95, exif=exif.tobytes())
    data = out.getvalue()
    assert check_image(data) == "heic"
    pixels = decode_image(data, (64, 48))
    assert is_near(corners(pixels), [BLUE, RED, WHITE, GREEN], 30)
    assert load_rgb(data).size == (48, 64)


def test_heic_without_its_extra_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    data = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    for use in (check_image, lambda data: decode_image(data, (8, 8))):
        with pytest.raises(ImageError, match=r"pip install 'retrain-cli\[heic\]'"):
            use(data)


UPRIGHT = {
    1: [RED, GREEN, BLUE, WHITE],
    2: [GREEN, RED, WHITE, BLUE],
    3: [WHITE, BLUE, GREEN, RED],
    4: [BLUE, WHITE, RED, GREEN],
    5: [RED, BLUE, GREEN, WHITE],
    6: [BLUE, RED, WHITE, GREEN],
    7: [WHITE, GREEN, BLUE, RED],
    8: [GREEN, WHITE, RED, BLUE],
}


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("scale", [1, 10])
def test_exif_orientation_is_honoured(kind: str, orientation: int, scale: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(quadrants(64 * scale, 48 * scale), kind, exif=exif, **FORMATS[kind])
    turned = orientation >= 5
    size = (64, 48) if turned else (48, 64)
    for rule in RULES:
        assert is_near(corners(decode_image(data, size, rule)), UPRIGHT[orientation], 24)
    assert load_rgb(data).size == (48 * scale if turned else 64 * scale, (48, 64)[turned] * scale)


def test_a_turned_photo_fills_a_square_like_its_upright_twin() -> None:
    photo = quadrants(90, 61)
    exif = Image.Exif()
    exif[ORIENTATION] = 8
    turned = encode(photo.transpose(Image.Transpose.ROTATE_270), exif=exif)
    for rule in RULES:
        expected = decode_image(encode(photo), (37, 50), rule)
        assert is_near(decode_image(turned, (37, 50), rule), expected, 2)


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"]
)
def test_broken_exif_makes_no_image_bad(kind: str, exif: bytes) -> None:
    data = encode(quadrants(), kind, exif=exif, **FORMATS[kind])
    assert is_near(corners(decode_image(data, (48, 64))), UPRIGHT[1])


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_is_none_is_ignored(value: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    assert is_near(corners(decode_image(encode(quadrants(), exif=exif), (48, 64))), UPRIGHT[1])


def grey_ramp() -> NDArray[np.float64]:
    """Ramp (8, 256) from 0 to 1."""
    return np.tile(np.linspace(0, 1, 256), (8, 1))


def ramp_error(data: bytes) -> float:
    pixels = decode_image(data, (8, 256)).astype(float)
    return float(np.abs(pixels - np.arange(256)[None, :, None]).max())


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.round(grey_ramp() * 65535).astype(np.uint16)
    assert ramp_error(encode(Image.fromarray(ramp))) <= 1
    assert ramp_error(encode(Image.fromarray(ramp), "tiff")) <= 1
    assert ramp_error(big_endian_tiff(ramp)) <= 1


def test_wide_integers_and_floats() -> None:
    ramp = grey_ramp()
    assert ramp_error(encode(Image.fromarray((ramp * 65535).astype(np.int32)), "tiff")) <= 1
    assert ramp_error(encode(Image.fromarray((ramp * 255).round().astype(np.int32)), "tiff")) <= 1
    assert ramp_error(encode(Image.fromarray((ramp * 2e9 - 1e9).astype(np.int32)), "tiff")) <= 1
    assert ramp_error(encode(Image.fromarray(ramp.astype(np.float32)), "tiff")) <= 1
    assert ramp_error(encode(Image.fromarray((ramp * 80 - 7).astype(np.float32)), "tiff")) <= 1


def test_not_a_number_is_black() -> None:
    ramp = grey_ramp().astype(np.float32)
    ramp[:, 200:] = np.nan
    pixels = decode_image(encode(Image.fromarray(ramp), "tiff"), (8, 256))
    assert not pixels[:, 200:].any()
    assert is_near(pixels[0, :200, 0], np.arange(200), 1)


def test_sixteen_bit_rgb_png() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    row = b"\0" + struct.pack(">3H", *(part * 257 for part in RED)) * 8
    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"IDAT", zlib.compress(row * 8)) + chunk(b"IEND", b"")
    assert is_near(decode_image(data, (8, 8)), RED, 1)


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGBA", "png"), ("LA", "png"), ("RGBA", "webp"), ("RGBA", "tiff")]
)
def test_transparency_becomes_white(mode: str, kind: str) -> None:
    pixels = decode_image(encode(half_transparent(mode), kind), (64, 64))
    grey: Any = half_transparent("LA").getpixel((0, 0))
    red = RED if mode == "RGBA" else np.full(3, grey[0])
    assert is_near(pixels[32, 8], red, 8)
    assert is_near(pixels[32, 56], WHITE, 3)


@pytest.mark.parametrize("transparency", [1, bytes([255, 0])])
def test_palette_with_a_transparent_colour(transparency: int | bytes) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([*RED, *BLUE])
    image.paste(1, (32, 0, 64, 64))
    for kind in ("png", "gif")[: 1 + isinstance(transparency, int)]:
        pixels = decode_image(encode(image, kind, transparency=transparency), (64, 64))
        assert is_near(pixels[32, 8], RED, 1)
        assert is_near(pixels[32, 56], WHITE, 1)
    assert is_near(decode_image(encode(image), (64, 64))[32, 56], BLUE, 1)


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGB", (7, 8, 9))])
def test_a_transparent_colour_without_palette(mode: str, colour: Any) -> None:
    image = Image.new(mode, (64, 64), colour)
    image.paste(200 if mode == "L" else RED, (0, 0, 32, 64))
    pixels = decode_image(encode(image, transparency=colour), (64, 64))
    assert is_near(pixels[32, 8], (200,) * 3 if mode == "L" else RED, 1)
    assert is_near(pixels[32, 56], WHITE, 1)


def test_one_bit_images() -> None:
    image = Image.new("1", (64, 64), 0)
    image.paste(1, (32, 0, 64, 64))
    for kind in ("png", "tiff", "bmp", "gif"):
        pixels = decode_image(encode(image, kind), (64, 64))
        assert is_near(pixels[32, 8], (0, 0, 0), 0)
        assert is_near(pixels[32, 56], WHITE, 0)


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
def test_cmyk(kind: str) -> None:
    """CMYK JPEGs are stored inverted (Adobe); both must show the same red."""
    image = Image.new("RGB", (64, 64), RED).convert("CMYK")
    assert is_near(decode_image(encode(image, kind), (32, 32)), RED)


def test_ycbcr_and_lab_tiff() -> None:
    ycbcr = encode(quadrants(), "tiff", compression="jpeg", quality=95)
    assert is_near(decode_image(ycbcr, (48, 64))[4, 4], RED)
    lab = Image.new("LAB", (16, 16), (136, 208, 195))  # sRGB red: L* 53, a* 80, b* 67 around 128
    assert is_near(decode_image(encode(lab, "tiff"), (8, 8)), (255, 0, 0), 16)


def test_first_frame_of_animations() -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in (RED, GREEN, BLUE)]
    for kind in ("gif", "webp", "png", "tiff", "avif"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
        assert is_near(decode_image(data, (16, 16)), RED)


def test_crop_takes_the_centre_and_squash_all() -> None:
    image = Image.new("RGB", (300, 100), BLUE)
    image.paste(RED, (100, 0, 200, 100))
    data = encode(image)
    assert is_near(decode_image(data, (50, 50), "crop")[:, 1:-1], RED, 2)
    squashed = decode_image(data, (50, 50), "squash")
    assert is_near(squashed[:, :15], BLUE, 2)
    assert is_near(squashed[:, 19:31], RED, 2)


def test_letterbox_keeps_all_of_it_on_grey() -> None:
    pixels = decode_image(encode(Image.new("RGB", (300, 100), RED)), (60, 60), "letterbox")
    assert is_near(pixels[20:40], RED, 2)
    assert np.all(pixels[:20] == LETTERBOX_GREY)
    assert np.all(pixels[40:] == LETTERBOX_GREY)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from(RULES), st.sampled_from(["png", "jpeg"]), st.integers(1, 8),
)  # fmt: skip
def test_any_size_to_any_size(
    width: int, height: int, rows: int, columns: int, rule: ResizeRule, kind: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encode(Image.new("RGB", (width, height), RED), kind, exif=exif)
    pixels = decode_image(data, (rows, columns), rule)
    assert pixels.shape == (rows, columns, 3)
    if rule != "letterbox":
        assert is_near(pixels, RED, 4)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [(1600, 1100), (1100, 1600), (4000, 120), (120, 4000)])
def test_reduced_jpeg_decoding_changes_little(size: tuple[int, int], rule: ResizeRule) -> None:
    """Against the same photo as a PNG, which is always decoded in full."""
    grid = np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8)
    photo = Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC)
    reduced = decode_image(encode(photo, "jpeg", quality=95), (120, 100), rule).astype(float)
    full = decode_image(encode(photo), (120, 100), rule)
    assert np.abs(reduced - full).mean() < 1.5


def test_jpeg_is_decoded_at_a_reduced_scale_never_below_the_goal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[int, int]] = []

    class Spy(Resizing):
        def apply(self, image: Image.Image, pixels: bytes | None = None) -> NDArray[np.uint8]:
            seen.append(image.size)
            return super().apply(image, pixels)

        @staticmethod
        def by_rule(*args: Any) -> Resizing:
            plain = Resizing.by_rule(*args)
            return Spy(plain.box, plain.size)

    monkeypatch.setattr(decode, "Resizing", Spy)
    data = encode(Image.new("RGB", (1600, 1200), RED), "jpeg")
    for rule in RULES:
        decode_image(data, (100, 100), rule)
    assert seen[0] == (200, 150)
    assert all(min(size) >= 75 for size in seen)
    assert all(size[0] < 1600 for size in seen)


def test_pillow_stays_as_it_was() -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, dict(Image.OPEN))
    for sample in SAMPLES:
        decode_image(sample, (8, 8))
    assert before[:2] == (Image.MAX_IMAGE_PIXELS, False)
    assert set(before[2]) <= set(Image.OPEN)


def test_warnings_of_pillow_do_not_leak(recwarn: pytest.WarningsRecorder) -> None:
    """A TIFF whose metadata points beyond its end makes Pillow warn."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[305] = "software " * 4
    data = bytearray(encode(quadrants(), "tiff", tiffinfo=info))
    at = data.index(struct.pack("<HH", 305, 2))
    data[at + 8 : at + 12] = struct.pack("<I", 10**8)
    warnings.simplefilter("always")
    assert is_near(corners(decode_image(bytes(data), (48, 64))), UPRIGHT[1])
    assert not recwarn.list


def test_threads_decode_the_same_pixels() -> None:
    expected = [decode_image(sample, (20, 20)) for sample in SAMPLES]
    start = threading.Barrier(4)

    def work(_: int) -> list[NDArray[np.uint8]]:
        start.wait()
        return [decode_image(sample, (20, 20)) for _ in range(5) for sample in SAMPLES]

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(4)):
            for number, pixels in enumerate(found):
                np.testing.assert_array_equal(pixels, expected[number % len(SAMPLES)])


@pytest.mark.real
def test_real_photos_decode_close_to_a_full_decode(test_data: Path) -> None:
    files = sorted((test_data / "data" / "flowers").rglob("*.jpg"))[::40]
    assert files
    for file in files:
        data = file.read_bytes()
        full = np.asarray(
            load_rgb(data).resize((128, 128), Image.Resampling.BILINEAR), dtype=np.float64
        )
        assert np.abs(decode_image(data, (128, 128)) - full).mean() < 1
