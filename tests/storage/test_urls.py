"""Places: paths of this machine and URLs."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from retrain_cli.errors import ConfigError
from retrain_cli.storage.urls import UrlPath, absolute_place, as_place, is_url


@pytest.mark.parametrize("written", ["s3://bucket/a/b", "s3:/bucket/a/b", Path("s3://bucket/a/b")])
def test_a_url_stays_one_on_its_way(written: str | Path) -> None:
    """`pathlib`, through which what is typed comes, makes one slash of two."""
    url = absolute_place(written)
    assert isinstance(url, UrlPath)
    assert str(url) == os.fspath(url) == "s3://bucket/a/b"
    assert os.fsencode(url / "ä 1.jpg") == "s3://bucket/a/b/ä 1.jpg".encode()
    assert str(url.parent) == str(as_place(str(url.parent))) == "s3://bucket/a"
    assert str(url.with_name("c")) == "s3://bucket/a/c"
    assert (url / "x").relative_to(url) == PurePath("x")
    assert not isinstance(url, Path)


@pytest.mark.parametrize("written", ["s3", "s3:", "./s3://b", "/s3://b", "x://b", "as3://b", ""])
def test_what_is_no_url(written: str) -> None:
    assert not is_url(written)
    assert as_place(written) == Path(written)
    assert absolute_place(written) == Path(written).absolute()


def test_no_secret_in_a_url() -> None:
    assert str(as_place("gs://anonymous@bucket/a")) == "gs://anonymous@bucket/a"
    assert str(as_place("abfs://box@account.dfs.core.windows.net/a")).startswith("abfs://box@")
    with pytest.raises(ConfigError) as refused:
        as_place("s3://key:hush@bucket/a")
    assert "hush" not in str(refused.value)
