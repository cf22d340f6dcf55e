"""Formats by their first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.images.formats import looks_like_image_name, looks_like_text, sniff_format


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
        (b"", None),
    ],
)
def test_sniff_format(head: bytes, expected: str | None) -> None:
    assert sniff_format(head) == expected


@given(st.binary(max_size=64))
def test_any_bytes_are_sniffed_without_a_fault(head: bytes) -> None:
    assert sniff_format(b"\0\0\0\x20ftyp" + head) in (None, "avif", "heic")
    sniff_format(head)
    looks_like_text(head)


@pytest.mark.parametrize("name", ["a.jpg", "A.JPEG", "b.c.HeIc", "\udcff.webp", "x.tif"])
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
