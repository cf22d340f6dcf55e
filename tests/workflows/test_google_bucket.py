"""Photos in a bucket of Google's, from an emulator: as from S3 what is listed, fetched and told."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from google_storage import LIST, OBJECTS
from helpers import LIMIT
from object_storage import SECRET, Fault, Storage, check_one_bad_photo

from retrain_cli.datasets.sources import bucket_source
from retrain_cli.errors import ConfigError, StorageError
from retrain_cli.storage import buckets
from retrain_cli.storage.urls import UrlPath

URL = "gs://bucket/photos"
LISTING = ("GET", LIST.format("bucket"))


@pytest.fixture
def storage(google_storage: Storage, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The server with photos in it that are as good as written long ago."""
    monkeypatch.setattr(bucket_source, "_TICK_NS", -(10**18))
    google_storage.upload(photos, "bucket/photos")
    return google_storage


def photo(name: str) -> str:
    """What is asked for where a photo is read."""
    return OBJECTS.format("bucket", f"photos/{name}")


@pytest.mark.parametrize("url", [URL, "gcs://bucket/photos", "gs://anonymous@bucket/photos"])
def test_it_holds_what_the_folder_holds(
    storage: Storage, photos: Path, fill: Any, url: str
) -> None:
    first = fill(url)
    assert (first.found, first.computed, first.bad) == (36, 36, [])
    assert storage.asked == {LISTING: 1} | {
        ("GET", photo(f"{folder}/{number:04}.png")): 1
        for folder in ("ant", "bee", "teapot")
        for number in range(12)
    }
    second = fill(photos)
    assert (second.computed, second.classes) == (0, first.classes)


def test_what_is_known_is_not_fetched_again(storage: Storage, fill: Any) -> None:
    fill(URL)
    storage.delete("bucket/photos/bee/0000.png")
    storage.put("bucket/photos/bee/odd.png", b"no photo")
    storage.asked.clear()
    summary = fill(URL)
    assert (summary.found, summary.computed) == (35, 0)
    assert [path for path, _ in summary.bad] == ["bee/odd.png"]
    assert storage.asked == {LISTING: 1, ("GET", photo("bee/odd.png")): 1}


def test_many_requests_are_in_flight(storage: Storage, fill: Any) -> None:
    """No answer comes before 16 photos are asked for; whoever waits for one lets others go on."""
    enough = Barrier(16)

    def wait_for_others(method: str, path: str) -> None:
        if path.endswith(".png"):
            with storage.lock:
                asked = sum(storage.asked.values())
            if asked <= 17:  # the listing is one of them
                enough.wait(LIMIT)

    storage.faults = wait_for_others
    assert fill(URL).computed == 36
    assert 16 <= storage.most_at_once <= buckets.REQUESTS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(404), "no longer there"),
        (Fault(403), "access denied"),
        (Fault(503), "the server cannot be reached, or is overloaded, 5 tries"),
    ],
)
def test_a_photo_that_cannot_be_fetched_is_a_bad_one(
    storage: Storage, fill: Any, fault: Fault, reason: str
) -> None:
    storage.faults = lambda how, path: fault if path == photo("bee/0005.png") else None
    check_one_bad_photo(storage, fill, URL, reason)


def test_what_is_cut_short_is_fetched_again(storage: Storage, fill: Any) -> None:
    def cut_once(how: str, path: str) -> Fault | None:
        is_first = path == photo("ant/0003.png") and storage.asked[how, path] == 1
        return Fault(cut=True) if is_first else None

    storage.faults = cut_once
    summary = fill(URL)
    assert (summary.computed, summary.bad) == (36, [])


def test_a_long_object_is_read_as_far_as_is_wanted(storage: Storage) -> None:
    data = bytes(range(256)) * 20_000
    storage.put("bucket/long.png", data)
    url = UrlPath("gs://bucket/long.png")
    store = buckets.open_store(url)
    assert store.read(url, len(data)) == data
    assert store.read(url, 3_000_000) == data[:3_000_001]
    assert store.read(url, len(data), lambda head: False) == data[:4096]


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("gs://nowhere/photos", 0, "there is nothing below gs://nowhere/photos"),
        ("gs://bucket/Photos", 0, "there is nothing below gs://bucket/Photos"),
        (
            URL,
            403,
            "(access denied): check the keys (GOOGLE_APPLICATION_CREDENTIALS), or write gs:",
        ),
        (
            URL,
            401,
            "(access denied): check the keys (GOOGLE_APPLICATION_CREDENTIALS), or write gs:",
        ),
    ],
)
def test_what_cannot_be_listed_is_told(
    storage: Storage, fill: Any, url: str, status: int, told: str
) -> None:
    storage.faults = lambda method, path: Fault(status) if status else None
    with pytest.raises(StorageError) as refused:
        fill(url)
    assert told in str(refused.value)
    assert "google::cloud" not in str(refused.value)


def test_a_server_that_is_not_there(
    storage: Storage, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(StorageError, match=r"cannot be reached.*5 tries.*STORAGE_EMULATOR_HOST"):
        fill(URL)
    assert time.monotonic() - started < LIMIT / 10  # Google's library would try for a quarter hour


def test_keys_that_cannot_be_used(
    fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked for before anything is asked for."""
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(keys))
    buckets.open_bucket.cache_clear()
    with pytest.raises(StorageError, match=r"the keys cannot be used: .*keys\.json") as refused:
        fill(URL)
    assert "google::cloud" not in str(refused.value)


@pytest.mark.parametrize("server", ["nonsense://", "ftp://host", "http://", "http://a@b", "host/b"])
def test_a_server_that_is_none(fill: Any, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
    buckets.open_bucket.cache_clear()
    with pytest.raises(ConfigError, match="STORAGE_EMULATOR_HOST names a server"):
        fill(URL)


def test_keys_stay_out_of_urls(fill: Any) -> None:
    with pytest.raises(ConfigError, match="GOOGLE_APPLICATION_CREDENTIALS") as refused:
        fill(f"gs://somebody:{SECRET}@bucket/photos")
    assert SECRET not in str(refused.value)
