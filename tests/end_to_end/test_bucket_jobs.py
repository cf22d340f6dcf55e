"""Every command that opens photos, with photos in a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from helpers import QUICK_HEAD, TINY, Outcome, make_photos
from object_storage import SECRET, Fault, Storage

URL = "s3://bucket/photos"


def labelled(done: Outcome) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


def test_the_main_job(
    storage: Storage, photos: Path, retrain_here: Callable[..., Outcome], tmp_path: Path
) -> None:
    storage.upload(photos, "bucket/photos")
    storage.upload(make_photos(tmp_path / "more", {"wasp": 3}, seed=5), "bucket/new")
    done = retrain_here("bottlenecks", URL, *TINY)
    assert done.code == 0, done.err
    assert "36 images in 3 classes" in done.out + done.err
    assert retrain_here("train", *QUICK_HEAD, "--name", "first").code == 0
    assert retrain_here("eval").code == 0
    assert "photos     s3://bucket/photos" in retrain_here("runs", "show").out

    photo = f"{URL}/ant/0000.png"
    (only,) = labelled(retrain_here("label", photo))
    assert (only["path"], len(only["labels"])) == (photo, 3)
    rows = labelled(retrain_here("label", "s3://bucket/new/"))
    assert [row["path"] for row in rows] == [f"s3://bucket/new/wasp/000{n}.png" for n in range(3)]
    similar = retrain_here("similar", photo, "-k", "1")
    assert URL in similar.out
    assert photo not in similar.out.splitlines()[-1]
    assert retrain_here("explain", photo, "--output", "heat").code == 0
    assert list((tmp_path / "heat").glob("*.png"))

    assert retrain_here("report", "--output", "report.html").code == 0
    assert "cannot be read" not in (tmp_path / "report.html").read_text()
    check = retrain_here("check", "--json").json
    assert (check["image_dir"], check["not_looked_at"]) == (URL, [])
    grown = retrain_here("add-class", "wasp", "s3://bucket/new/wasp")
    assert grown.code == 0, grown.err
    tuned = retrain_here("finetune", "--epochs", "1", "--name", "tuned")
    assert tuned.code == 0, tuned.err
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET.encode() not in everything


def test_what_works_on_files_alone_is_refused(
    storage: Storage, photos: Path, retrain_here: Callable[..., Outcome]
) -> None:
    storage.upload(photos, "bucket/photos")
    assert retrain_here("bottlenecks", URL, *TINY).code == 0
    assert retrain_here("train", *QUICK_HEAD).code == 0
    photo = f"{URL}/ant/0000.png"
    assert photo in retrain_here("label", photo, "--sort-into", "sorted").refused(2)
    assert URL in retrain_here("check", "--script", "moves.txt").refused(2)
    split = retrain_here("dataset", "split", "--by-similarity", "halves", "--links")
    assert URL in split.refused(2)
    storage.faults = lambda method, path: Fault(503, "SlowDown")
    lost = retrain_here("bottlenecks", URL, *TINY).refused(3)
    assert "5 tries" in lost
