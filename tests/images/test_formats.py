"""Formats by their first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.images.formats import looks_like_image_name, looks_like_text, sniff_format
from retrain_cli.images.unread import unread_kind, why_unread


def box(major: bytes, *compatible: bytes) -> bytes:
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "png"),
        (b"GIF89a", "gif"),
        (b"II*\0\x08\0\0\0", "tiff"),
        (b"MM\0*\0\0\0\x08", "tiff"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"BM\x8a\0\0\0\0\0\0\0\x8a\0\0\0\x7c\0\0\0", "bmp"),
        (b"BMW and other cars, a list", None),
        (box(b"avif", b"mif1", b"miaf"), "avif"),
        (box(b"mif1", b"avif"), "avif"),
        (box(b"mif1", b"heic"), "heic"),
        (box(b"heic", b"mif1"), "heic"),
        (box(b"isom", b"iso2", b"avc1", b"mp41"), None),
        (box(b"qt  "), None),
        (box(b"isom") + b"avif" * 4, None),  # beyond the box
        (b"%PDF-1.7", None),
        (b"P6\n# made by hand\n4 3\n255\n", "netpbm"),
        (b"P5 4 3 255\n", "netpbm"),
        (b"P4\n4 3\n\0", "netpbm"),
        (b"P7\nWIDTH 4\n", "netpbm"),
        (b"Pf\n4 3\n-1.0\n", "netpbm"),
        (b"P5 is a psalm of David", None),
        (b"P1: buy milk 1 2 3", None),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
        (b"\xff\x4f\xff\x51\0", "jp2"),
        (b"DDS \x7c\0\0\0", "dds"),
        (b"DDS is short for", None),
        (b"\x01\xda\0\1\0\3", "sgi"),
        (b"\x01\xda\7\1\0\3", None),
        (b"qoif\0\0", "qoi"),
        (b"icns\0\0", "icns"),
        (b"\x59\xa6\x6a\x95", "sun"),
        (b"\0\0\1\0\1\0\x20\x20\0\0\1\0\x20\0\x68\0\0\0\x16\0\0\0", "ico"),
        (b"\0\0\2\0\1\0\x20\x20\0\0\1\0\x20\0\x68\0\0\0\x16\0\0\0", "cur"),
        (b"\0\0\1\xba" + bytes(40), None),  # MPEG
        (b"\n\5\1\x08" + bytes(4) + b"\1\0\1\0" + bytes(53) + b"\3" + bytes(62), "pcx"),
        (b"\nA text that begins with an empty line" + bytes(100), None),
        (b"", None),
    ],
)
def test_sniff_format(head: bytes, expected: str | None) -> None:
    assert sniff_format(head) == expected


TGA = bytes([0, 0, 2]) + bytes(9) + b"\4\0\3\0\x18\0"


@pytest.mark.parametrize("name", ["a.tga", "A.TGA", "b.icb", "c.vst"])
def test_a_tga_is_one_by_its_name_and_a_header_that_can_be(name: str) -> None:
    assert sniff_format(TGA, name) == "tga"
    assert sniff_format(TGA) is None
    for place, value in ((1, 2), (2, 7), (12, 0), (16, 12), (17, 0xC0)):
        wrong = bytearray(TGA)
        wrong[place] = value
        assert sniff_format(bytes(wrong), name) is None


@pytest.mark.parametrize("name", ["a.NEF", "b.dng", "c.cr2", "d.arw"])
def test_raw_files_of_cameras_begin_like_tiffs_and_are_none(name: str) -> None:
    assert sniff_format(b"II*\0\x08\0\0\0", name) is None
    assert "develop it" in why_unread(name)


@pytest.mark.parametrize(
    ("name", "kind", "is_picture"),
    [
        ("a.psd", "Photoshop document (.psd)", True),
        ("a.SVG", "vector drawing (.svg)", True),
        ("a.cr3", "camera raw file (.cr3)", True),
        ("a.mp4", "video (.mp4)", True),
        ("a.txt", "no image (.txt)", False),
        ("README", "no image (no extension)", False),
    ],
)
def test_what_is_not_read_has_a_name(name: str, kind: str, is_picture: bool) -> None:
    unread = unread_kind(name)
    assert (unread.kind, unread.is_picture) == (kind, is_picture)
    assert bool(unread.remedy) == is_picture
    assert not looks_like_image_name(name)


@given(st.binary(max_size=64))
def test_any_bytes_are_sniffed_without_a_fault(head: bytes) -> None:
    assert sniff_format(b"\0\0\0\x20ftyp" + head) in (None, "avif", "heic")
    sniff_format(head, "a.tga")
    looks_like_text(head)


@pytest.mark.parametrize(
    "name", ["a.jpg", "A.JPEG", "b.c.HeIc", "\udcff.webp", "x.tif", "x.ppm", "x.JP2", "x.tga"]
)
def test_image_names(name: str) -> None:
    assert looks_like_image_name(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.part", "README", ""])
def test_other_names(name: str) -> None:
    assert not looks_like_image_name(name)


def test_text() -> None:
    cut = ("a" * 255 + "ü").encode()[:256]
    assert looks_like_text(cut)
    assert looks_like_text(b"\xef\xbb\xbfwith a mark\r\n")
    assert not looks_like_text(b"\x00\x01\x02")
    assert not looks_like_text(b"caf\xe9 " + b"a" * 20)
    assert not looks_like_text(b"")
