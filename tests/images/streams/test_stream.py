"""A stream of images is cut exactly where one ends, in pieces of any size; nothing is invented."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fuzz.seeds import encode, picture, sound_images
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import skip_where_pillow_is_older
from PIL import Image
from reference.gifs import gifs
from reference.pngs import chunk, pngs
from reference.tiffs import tiffs

from retrain_cli.errors import ImageError
from retrain_cli.images.decode import load_rgb
from retrain_cli.images.streams.stream import Skipped, split_images


def encoded(kind: str, seed: int, **options: Any) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (20 + seed, 30, 3), dtype=np.uint8)
    return encode(Image.fromarray(pixels), kind, **options)


def with_thumbnail(seed: int = 1, listed: bool = True) -> bytes:
    """A JPEG whose EXIF segment holds another whole JPEG."""
    inner, outer = encoded("JPEG", seed), encoded("JPEG", seed + 1)
    second = (
        b"\0\2"
        + b"\2\1\0\4\0\0\0\1\0\0\0\x2c"
        + b"\2\2\0\4\0\0\0\1"
        + len(inner).to_bytes(4, "big")
    )
    exif = b"MM\0*\0\0\0\x08\0\0\0\0\0\x0e" + second + bytes(4)
    segment = b"Exif\0\0" + (exif + inner if listed else inner)
    return outer[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + outer[2:]


def mpo() -> bytes:
    other = Image.fromarray(np.full((9, 12, 3), 90, np.uint8))
    return encoded("MPO", 8, save_all=True, append_images=[other, other])


A, B, C = encoded("JPEG", 3), encoded("JPEG", 5, progressive=True), with_thumbnail()
ALL = {name: data for name, data in sound_images().items() if not name.startswith("tga")}
ALL |= {f"reference-tif-{name}": data for name, data in list(tiffs())[::9] if "cmyk" not in name}
ALL |= {f"reference-png-{name}": data for name, data in list(pngs())[::9]}
ALL |= {f"reference-gif-{name}": data for name, data in list(gifs())[::5]}
ALL |= {"mpo": mpo(), "thumbnail": C}
GAPS = {"nothing": b"", "newline": b"\n", "crlf": b"\r\n", "zeros": bytes(300), "zero": b"\0"}


def cut(stream: bytes, step: int) -> Iterator[bytes]:
    return (stream[start : start + step] for start in range(0, len(stream), step))


def split(stream: bytes, step: int = 1 << 16) -> tuple[list[bytes], list[Skipped]]:
    skipped: list[Skipped] = []
    return list(split_images(cut(stream, step), skipped.append)), skipped


@pytest.mark.parametrize("name", ALL)
def test_an_image_of_any_format_between_others(name: str) -> None:
    skip_where_pillow_is_older(name)
    data = ALL[name]
    for gap, between in GAPS.items():
        stream = between.join([A, data, data, B]) + between
        step = 1 << 16 if len(gap) % 2 else 997
        found, skipped = split(stream, step)
        assert not skipped
        assert len(found) == 4
        for image in found[1:3]:
            np.testing.assert_array_equal(load_rgb(image), load_rgb(data))
        assert (found[0], found[3]) == (A, B)


@settings(deadline=None)
@given(order=st.lists(st.sampled_from(sorted(ALL)), max_size=6), piece=st.integers(1, 70_000))
def test_images_come_out_as_they_went_in(order: list[str], piece: int) -> None:
    stream = b"".join(ALL[name] for name in order)
    found, skipped = split(stream, max(piece, len(stream) // 200 + 1))
    assert not skipped
    assert len(found) == len(order)


def test_a_tga_is_the_whole_stream() -> None:
    data = sound_images()["tga-RGB-rle"]
    assert split(data) == ([data], [])


JUNK = {
    "text": b"This is no image, nor is it meant to be one. " * 9,
    "noise": np.random.default_rng(7).bytes(200_000),
    "zip": b"PK\3\4" + A + b"PK\5\6" + bytes(18),
    "pdf": b"%PDF-1.7 stream " + A + b" endstream %%EOF",
    "video": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + (8 + len(A)).to_bytes(4, "big") + b"mdat" + A,
    "sound": b"RIFF" + (4 + len(A)).to_bytes(4, "little") + b"WAVE" + A,
    "byte": b"x",
}


@pytest.mark.parametrize("name", JUNK)
@pytest.mark.parametrize("step", [61, 1 << 16])
def test_what_is_no_image_is_told_with_its_place(name: str, step: int) -> None:
    junk = JUNK[name]
    found, skipped = split(A + b"\n" + junk + C + encoded("PNG", 4) + junk, step)
    assert found == [A, C, encoded("PNG", 4)]
    assert skipped[0] == Skipped(len(A) + 1, len(junk))
    assert len(skipped) == (1 if name == "video" else 2)  # it may stand right behind a photo


def test_a_stream_of_nothing_else_is_told() -> None:
    assert split(JUNK["text"]) == ([], [Skipped(0, len(JUNK["text"]))])
    assert split(b"") == ([], [])
    assert split(b"\0\n\0") == ([], [])


BEHIND = {
    "zeros": bytes(256),
    "newline": b"\n",
    "samsung": b"\0\0\1\x0a\x0e\0\0\0Image_UTC_Data1700000000000SEFH" + bytes(20) + b"SEFT",
    "motion": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(3000),
    "samsung-motion": b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + A + b"SEFH" + bytes(9) + b"SEFT",
}


@pytest.mark.parametrize("name", BEHIND)
def test_what_phones_put_behind_a_photo_is_part_of_it(name: str) -> None:
    for step in (100, 1 << 16):
        found, skipped = split((A + BEHIND[name]) * 2 + C, step)
        assert len(found) == (3 if name != "motion" else len(found))
        assert found[0].startswith(A)
        assert not skipped


def container_xmp(extra: bytes) -> bytes:
    """A photo whose XMP lists what stands behind it."""
    text = b'http://ns.adobe.com/xap/1.0/\0<x Container:Directory Item:Length="%d"/>' % len(extra)
    segment = b"\xff\xe1" + (len(text) + 2).to_bytes(2, "big") + text
    return A[:2] + segment + A[2:]


def test_what_the_photo_lists_is_part_of_it() -> None:
    for extra in (B, BEHIND["motion"]):
        photo = container_xmp(extra) + extra
        assert split(photo + photo + C)[0] == [photo, photo, C]
    assert split(container_xmp(B) + C)[0][0].startswith(container_xmp(B))  # it was saved anew


def test_a_multi_picture_index_without_its_pictures_loses_no_photo() -> None:
    first = mpo()
    end = first.index(b"\xff\xd9\xff\xd8") + 2
    for following in (A, C, encoded("PNG", 4), mpo()):
        found, skipped = split(first[:end] + following + B)
        assert [len(image) for image in found] == [end, len(following), len(B)]
        assert not skipped


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["plain", "progressive", "thumbnail", "png", "gif"])
def test_a_cut_image_takes_none_of_those_that_follow_along(kind: str, share: float) -> None:
    png, gif = encoded("PNG", 9), encoded("GIF", 9)
    whole = {"plain": A, "progressive": B, "thumbnail": C, "png": png, "gif": gif}[kind]
    part = whole[: max(60, int(len(whole) * share))]
    for following in (A, with_thumbnail(4), png):
        found, _ = split(part + following + B)
        assert found[-2:] == [following, B]
        assert len(found) <= 3


@pytest.mark.parametrize("cut_off", [1, 2, 3, 20, 400])
def test_a_cut_image_comes_out_as_the_rest(cut_off: int) -> None:
    data = A[:-cut_off]
    assert split(data) == ([data], [])


def test_a_broken_png_ends_where_the_next_begins() -> None:
    png = encoded("PNG", 4)
    broken = png[:33] + b"\0\0\0\5\1\2\3\4" + png[40:60]
    assert split(broken + A + B)[0][-2:] == [A, B]
    huge = png[:33] + chunk(b"IDAT", bytes(40_000))[:300]
    assert split(huge + A + B)[0][-1:] == [B] or split(huge + A + B)[0] == [huge + A + B]


def test_an_image_comes_at_once() -> None:
    """Before anything of the next has come: a camera may send one a minute."""

    def pieces() -> Iterator[bytes]:
        for number, data in enumerate([A, encoded("PNG", 4), encoded("GIF", 2), ALL["bmp-RGB"]]):
            yield data
            assert len(got) > number

    got: list[bytes] = []
    for image in split_images(pieces()):
        got.append(image)
    assert len(got) == 4


def test_time_grows_with_the_length_only() -> None:
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "JPEG", quality=98)
    photo = out.getvalue()
    started = time.process_time()
    assert len(split(photo * 10, 1 << 14)[0]) == 10
    png = encode(picture().resize((40, 40)), "png")
    large = png[:33] + chunk(b"tEXt", b"c\0" + bytes(40 << 20)) + png[33:]
    assert split(large, 1 << 14)[0] == [large]
    junk = bytes(range(1, 255)) * 100_000
    assert split(junk, 1 << 14) == ([], [Skipped(0, len(junk))])
    assert time.process_time() - started < 20


def test_an_image_without_end_is_refused() -> None:
    start = encoded("PNG", 4)[:33] + b"\x7f\xff\xff\xfftEXt"
    pieces = iter(lambda: bytes(1 << 16), b"")
    with pytest.raises(ImageError, match="1 MiB at most; the one at byte 0 of standard input"):
        list(split_images([start, *(next(pieces) for _ in range(40))], most=1 << 20))


@settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=300), st.sampled_from(sorted(ALL)), st.integers(0, 400), st.integers(1, 99)
)
def test_any_bytes_are_split_without_a_fault(data: bytes, name: str, kept: int, step: int) -> None:
    stream = ALL[name][:kept] + data + A
    found, skipped = split(stream, step)
    assert sum(map(len, found)) + sum(part.length for part in skipped) <= len(stream)
    assert all(found)
