"""Photos in a bucket, from a real S3 server: what is listed, fetched, known again and told."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers import LIMIT, SMALL_SPEC, make_photos
from object_storage import SECRET, Fault, Storage, check_one_bad_photo

from retrain_cli.datasets.sources import bucket_source
from retrain_cli.errors import ConfigError, DatasetError, MissingExtraError, StorageError
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.readers import ReaderKind
from retrain_cli.storage import buckets
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workspace import Workspace

URL = "s3://bucket/photos"


@pytest.fixture
def storage(storage: Storage, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """The server with photos in it that are as good as written long ago."""
    monkeypatch.setattr(bucket_source, "_TICK_NS", -(10**18))
    storage.upload(photos, "bucket/photos")
    storage.asked.clear()
    return storage


def test_it_holds_what_the_folder_holds(storage: Storage, photos: Path, fill: Any) -> None:
    """The same photos are the same, wherever they lie: nothing is computed twice."""
    first = fill(URL)
    assert (first.found, first.computed, first.bad) == (36, 36, [])
    assert [row.origin.class_name for row in first.classes] == ["ant", "bee", "teapot"]
    assert str(first.used.image_dir) == URL
    second = fill(photos)
    assert (second.computed, second.cached) == (0, 36)
    assert second.classes == first.classes


def test_what_is_known_is_not_fetched_again(storage: Storage, photos: Path, fill: Any) -> None:
    fill(URL)
    storage.asked.clear()
    summary = fill(URL)
    assert (summary.found, summary.computed) == (36, 0)
    assert list(storage.asked) == [("GET", "/bucket")]  # the listing
    new = make_photos(photos.parent / "more", {"x": 1}, seed=8) / "x" / "0000.png"
    storage.put("bucket/photos/ant/new.png", new.read_bytes())
    storage.delete("bucket/photos/bee/0000.png")
    storage.asked.clear()
    summary = fill(URL)
    assert (summary.found, summary.computed) == (36, 1)
    fetched = [path for method, path in storage.asked if path != "/bucket"]
    assert set(fetched) == {"/bucket/photos/ant/new.png"}


def test_what_was_written_just_now_is_read_again(
    storage: Storage, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing tells seconds: another photo of the same size could bear the same time."""
    monkeypatch.setattr(bucket_source, "_TICK_NS", 10**18)
    fill(URL)
    storage.asked.clear()
    summary = fill(URL)
    assert (summary.computed, summary.cached) == (0, 36)
    assert ("GET", "/bucket/photos/ant/0000.png") in storage.asked


def test_many_requests_are_in_flight(storage: Storage, fill: Any) -> None:
    """No answer comes before 16 photos are asked for."""
    enough = threading.Barrier(16)

    def wait_for_others(method: str, path: str) -> None:
        if method == "GET" and path.endswith(".png") and storage.asked["GET", "/bucket"] < 2:
            with storage.lock:
                first = sum(count for (how, _), count in storage.asked.items() if how == "GET")
            if first <= 17:  # the listing is one of them
                enough.wait(LIMIT)

    storage.faults = wait_for_others
    assert fill(URL).computed == 36
    assert 16 <= storage.most_at_once <= buckets.REQUESTS


@pytest.mark.parametrize("readers", ["threads", "processes"])
def test_faults_that_pass_cost_nothing(storage: Storage, fill: Any, readers: ReaderKind) -> None:
    answers = {1: Fault(503, "SlowDown"), 2: Fault(cut=True), 3: Fault(500, "InternalError")}

    def fail_at_first(method: str, path: str) -> Fault | None:
        wrong = path.endswith("0003.png") and method == "GET"
        return answers.get(storage.asked[method, path]) if wrong else None

    storage.faults = fail_at_first
    summary = fill(URL, settings=ExtractionSettings(batch_size=8, workers=2, readers=readers))
    assert (summary.computed, summary.bad) == (36, [])
    assert storage.asked["GET", "/bucket/photos/ant/0003.png"] == 4


@pytest.mark.parametrize(
    ("method", "fault", "reason"),
    [
        ("HEAD", Fault(404, "NoSuchKey"), "no longer there"),
        ("GET", Fault(404, "NoSuchKey"), "no longer there"),
        ("HEAD", Fault(403, "AccessDenied"), "access denied"),
        ("GET", Fault(403, "AccessDenied"), "access denied"),
        ("GET", Fault(503, "SlowDown"), "the server is overloaded, 5 tries"),
        ("GET", Fault(cut=True), "the connection failed, 5 tries"),
    ],
)
def test_a_photo_that_cannot_be_fetched_is_a_bad_one(
    storage: Storage, fill: Any, method: str, fault: Fault, reason: str
) -> None:
    name = "/bucket/photos/bee/0005.png"
    storage.faults = lambda how, path: fault if (how, path) == (method, name) else None
    check_one_bad_photo(storage, fill, URL, reason)


def test_a_lost_server_ends_it_and_keeps_what_is_done(storage: Storage, fill: Any) -> None:
    taken = 0

    def lose(method: str, path: str) -> Fault | None:
        nonlocal taken
        with storage.lock:
            taken += method == "GET" and path.endswith(".png")
            return Fault(503, "SlowDown") if taken > 20 else None

    storage.faults = lose
    with pytest.raises(StorageError) as lost:
        fill(URL)
    assert lost.value.exit_code == 3
    assert "s3://bucket, and the server is lost" in str(lost.value)
    assert "of 36 photos are done and kept" in str(lost.value)
    kept = int(str(lost.value).rpartition("; ")[2].split()[0])
    storage.faults = lambda method, path: None
    summary = fill(URL)
    assert (summary.computed, summary.cached) == (36 - kept, kept)


def test_a_listing_is_tried_again(storage: Storage, fill: Any) -> None:
    def fail_once(method: str, path: str) -> Fault | None:
        return Fault(503, "SlowDown") if storage.asked[method, "/bucket"] == 1 else None

    storage.faults = fail_once
    assert fill(URL).computed == 36


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("s3://nowhere/photos", "", "s3://nowhere/photos cannot be (there is no such bucket)"),
        ("s3://bucket/Photos", "", "there is nothing below s3://bucket/Photos"),
        (URL, "AccessDenied", "cannot be (access denied): check the keys"),
        (URL, "InvalidAccessKeyId", "cannot be (the access key is not known there)"),
        (URL, "SignatureDoesNotMatch", "(the secret key does not fit the access key)"),
    ],
)
def test_what_cannot_be_listed_is_told(
    storage: Storage, fill: Any, url: str, code: str, told: str
) -> None:
    storage.faults = lambda method, path: Fault(403, code) if code else None
    with pytest.raises(StorageError) as refused:
        fill(url)
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_is_not_there(
    storage: Storage, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"connection failed, 5 tries.*AWS_ENDPOINT_URL"):
        fill(URL)


def test_keys_stay_out_of_urls(storage: Storage, fill: Any) -> None:
    with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID") as refused:
        fill(f"s3://somebody:{SECRET}@bucket/photos")
    assert SECRET not in str(refused.value)


def test_a_public_bucket_needs_no_keys(storage: Storage, fill: Any) -> None:
    with pytest.raises(DatasetError, match=r"0000\.png: cannot be read .access denied"):
        fill("s3://anonymous@bucket/photos")  # a bucket that is listed for everybody, no more
    storage.publish("bucket")
    assert fill("s3://anonymous@bucket/photos").computed == 36
    assert storage.signed == 0
    assert fill(URL).cached == 36
    assert storage.signed > 0


def test_given_splits_and_what_is_no_photo(storage: Storage, photos: Path, fill: Any) -> None:
    """The keys of a bucket are read like the folders of a disk."""
    for split, count in (("train", 6), ("test", 3)):
        made = make_photos(photos.parent / split, {"ant": count, "bee": count}, seed=count)
        storage.upload(made, f"bucket/splits/{split}")
    photo = (photos / "ant" / "0000.png").read_bytes()
    storage.put("bucket/splits/train/ant/no%20extension", photo)
    storage.put("bucket/splits/train/ant/notes.txt", b"not a photo at all")
    storage.put("bucket/splits/train/ant/broken.jpg", b"not a photo either")
    storage.put("bucket/splits/train/.hidden/1.png", photo)
    storage.put("bucket/splits/train/loose.png", photo)
    storage.put("bucket/splits/train/ant//empty part.png", photo)  # pyarrow opens no such key
    told: list[str] = []
    summary = fill("s3://bucket/splits", on_warning=told.append)
    assert [(row.images, row.test) for row in summary.classes] == [(10, 3), (9, 3)]
    assert summary.computed == 19
    assert [path for path, _ in summary.bad] == ["train/ant/broken.jpg"]
    assert summary.loose_files == 1
    assert told == ["1 key(s) with an empty part, such as a//b.jpg, left out: rename them"]


def test_a_plan_counts_without_computing(storage: Storage, workspace: Workspace, fill: Any) -> None:
    plan = plan_bottlenecks(BottleneckRequest(URL, SMALL_SPEC), workspace)
    assert (plan.found, plan.to_do) == (36, 36)


def test_an_empty_bucket_has_no_classes(storage: Storage, fill: Any) -> None:
    storage.put("bucket/loose/1.png", b"x")
    with pytest.raises(DatasetError, match=r"one sub-folder per class.*1 photos directly in it"):
        fill("s3://bucket/loose")


def test_pyarrow_is_named_where_it_is_missing(fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'retrain-cli\[storage\]'"):
        fill(URL)
