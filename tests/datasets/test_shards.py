"""A photo is in one shard, the same on every machine."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.datasets.shards import Shard
from retrain_cli.errors import ConfigError

SHARDS_OF_16 = {"ant/1.jpg": 6, "bee/1.jpg": 7, "train/cat/a b.png": 9, "käfer/ü.png": 4}
"""Where they were when shards were new: a photo must never change its shard."""


def place_of(path: str, count: int) -> list[int]:
    return [n for n in range(1, count + 1) if Shard(n, count).holds(path)]


@given(st.text(min_size=1), st.integers(1, 40))
def test_every_photo_is_in_exactly_one(path: str, count: int) -> None:
    assert len(place_of(path, count)) == 1


def test_a_photo_stays_where_it_is() -> None:
    assert {path: place_of(path, 16)[0] for path in SHARDS_OF_16} == SHARDS_OF_16


def test_both_ways_to_write_an_accent_are_one() -> None:
    for form in ("NFC", "NFD"):
        assert place_of(unicodedata.normalize(form, "käfer/ü.png"), 16) == [4]


def test_a_name_that_is_no_unicode_has_its_shard() -> None:
    assert len(place_of("ant/\udcff.jpg", 16)) == 1


def test_shards_are_about_equal() -> None:
    sizes = [sum(Shard(n, 16).holds(f"c/{i}.jpg") for i in range(16_000)) for n in range(1, 17)]
    assert sum(sizes) == 16_000
    assert max(abs(size - 1_000) for size in sizes) < 5 * 1_000**0.5


@pytest.mark.parametrize("text", ["1/1", " 3/16 ", "16/16", "03/16"])
def test_what_names_a_shard(text: str) -> None:
    assert Shard.parse(text).number == int(text.split("/", maxsplit=1)[0])


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "-1/4", "1/0", "a/b", "1/2/3", "1/100001"])
def test_what_names_none(text: str) -> None:
    with pytest.raises(ConfigError, match="such as 3/16"):
        Shard.parse(text)
