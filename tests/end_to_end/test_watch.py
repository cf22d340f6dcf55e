"""`retrain watch` as a process: photos arrive, it is killed and asked to end."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import LIMIT, QUICK_HEAD, RETRAIN, TINY, Outcome, heed_signals, make_photos, wait_for
from watched_folders import files_below


@pytest.fixture(scope="module")
def template(make_template: Callable[..., Path]) -> Path:
    return make_template(
        lambda root: make_photos(root, {"ant": 12, "bee": 12}),
        ("bottlenecks", "photos", *TINY),
        ("train", *QUICK_HEAD, "--name", "pets"),
    )


@pytest.fixture
def new(template: Path, tmp_path: Path) -> list[Path]:
    """Photos that have not arrived yet, beside a copy of the workspace and an empty inbox."""
    shutil.copytree(template / ".retrain", tmp_path / ".retrain")
    made = make_photos(tmp_path / "made", {"ant": 20, "bee": 20}, seed=5)
    (tmp_path / "inbox").mkdir()
    return sorted(made.rglob("*.png"), key=lambda path: path.name)


@contextmanager
def watching(folder: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """A watch at work; what it says is in `said`, its answers in `answers`."""
    with (folder / "said").open("wb") as said, (folder / "answers").open("ab") as answers:
        process = subprocess.Popen(
            [str(RETRAIN), "watch", "inbox", "--interval", "0.05", *options],
            cwd=folder,
            stdout=answers,
            stderr=said,
            preexec_fn=heed_signals,  # noqa: PLW1509 - this process has no other threads
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def arrive(photos: list[Path], inbox: Path) -> None:
    for photo in photos:
        shutil.copy(photo, inbox / f"{photo.parent.name}-{photo.name}")


def in_album(folder: Path) -> int:
    return len([name for name in files_below(folder / "album") if name.endswith(".png")])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_labels_what_arrives_until_it_is_asked_to_end(
    new: list[Path], tmp_path: Path, end: signal.Signals
) -> None:
    with watching(tmp_path, "--sort-into", "album") as process:
        arrive(new[:3], tmp_path / "inbox")
        wait_for(lambda: in_album(tmp_path) == 3, "three photos in the album")
        whole = new[3].read_bytes()
        late = tmp_path / "inbox" / "late.png"
        late.write_bytes(whole[:200])
        wait_for(lambda: "late.png" in (tmp_path / "answers").read_text(), "what half a photo is")
        late.write_bytes(whole)
        wait_for(lambda: in_album(tmp_path) == 4, "the rest of it")
        process.send_signal(end)
        assert process.wait(LIMIT) == 0
    said = (tmp_path / "said").read_text().splitlines()
    assert said[0] == "watching inbox with pets; Ctrl-C ends it"
    assert "4 photo(s) were sorted into album" in said
    assert "inbox/late.png: left where it is: " in " ".join(said)
    answers = [json.loads(line) for line in (tmp_path / "answers").read_text().splitlines()]
    assert [answer["path"] for answer in answers if "error" in answer] == ["inbox/late.png"]
    assert all(len(answer["labels"]) == 1 for answer in answers if "error" not in answer)


def test_a_watch_that_is_killed_again_and_again(new: list[Path], tmp_path: Path) -> None:
    arrive(new, tmp_path / "inbox")
    before = sorted(files_below(tmp_path / "inbox").values())
    options = ("--sort-into", "album", "--tags", "json", "--batch-size", "1")
    for least in (1, 9, 17, 25):
        with watching(tmp_path, *options) as process:
            wait_for(lambda least=least: in_album(tmp_path) >= least, f"{least} photos")  # type: ignore[misc]
            process.kill()
    with watching(tmp_path, *options, "--once") as process:
        assert process.wait(LIMIT) == 0
    assert files_below(tmp_path / "inbox") == {}
    table = (tmp_path / "album" / "labels.jsonl").read_text().splitlines()
    found = files_below(tmp_path / "album")
    del found["labels.jsonl"]
    assert sorted(found.values()) == before
    assert sorted(json.loads(line)["sorted_to"] for line in table) == [*found]


def test_once_ends_and_says_what_it_did(
    new: list[Path], retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    words = ("watch", "inbox", "--sort-into", "album", "--once", "--interval", "0.01")
    done = retrain(*words)
    assert (done.code, done.out) == (0, "")
    assert "0 photo(s) were sorted into album" in done.err
    arrive(new[:2], tmp_path / "inbox")
    done = retrain(*words, "--csv")
    assert done.code == 0
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [Path(row["sorted to"]).name for row in rows] == ["ant-0000.png", "bee-0000.png"]
    arrive(new[2:3], tmp_path / "inbox")
    shutil.rmtree(tmp_path / "album")
    (tmp_path / "album").mkdir()
    for label in ("ant", "bee"):
        (tmp_path / "album" / label).write_text("in the way")
    refused = retrain(*words)
    assert "1 photo(s) could not be sorted" in refused.refused(3)
    assert "stays where it is for now" in refused.err


def test_what_cannot_be_watched_is_refused(
    new: list[Path], retrain: Callable[..., Outcome], tmp_path: Path
) -> None:
    assert "--sort-into ALBUM, or --tags" in retrain("watch", "inbox").refused(2)
    assert "--sort-into" in retrain("watch", "inbox", "--sort-into", "inbox").refused(2)
    assert "--interval" in retrain("watch", "inbox", "--tags", "csv", "--interval", 0).refused(2)
    assert "--tags" in retrain("watch", "inbox", "--tags", "exif").refused(2)
    assert "--reject" in retrain("watch", "inbox", "--tags", "csv", "--max-error", 0.1).refused(2)
    assert "make it" in retrain("watch", "nowhere", "--tags", "csv", "--once").refused(3)
