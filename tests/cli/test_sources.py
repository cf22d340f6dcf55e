"""Images that come through standard input."""

from __future__ import annotations

import io
import os

import pytest
from PIL import Image

from retrain_cli.cli.sources import images_of_stdin
from retrain_cli.errors import DatasetError


def photo(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (20, 20), (shade, 90, 10)).save(out, "JPEG")
    return out.getvalue()


def feed(stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    source = io.BytesIO(stream)
    monkeypatch.setattr(os, "read", lambda _, count: source.read(count))


def test_photos_with_padding_between(monkeypatch: pytest.MonkeyPatch) -> None:
    feed(photo(1) + b"\n" + photo(2) + bytes(64) + photo(3), monkeypatch)
    found = [(source.name, source.data) for source in images_of_stdin()]
    assert found == [(f"stdin:{number}", photo(number)) for number in (1, 2, 3)]


def test_what_is_not_understood_is_an_error_behind_the_last_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    feed(photo(1) + b"some text" + photo(2), monkeypatch)
    sources = images_of_stdin()
    assert [next(sources).data, next(sources).data] == [photo(1), photo(2)]
    place = f"passed over: 9 at byte {len(photo(1)):,}:"
    with pytest.raises(DatasetError, match=place):
        next(sources)
