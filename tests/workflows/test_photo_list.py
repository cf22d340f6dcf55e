"""Photos that a CSV file lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers import make_photos
from object_storage import Storage

from retrain_cli.datasets.sources import bucket_source
from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.workflows.bottlenecks import BottleneckRequest

HEAD = "path,label\n"


@pytest.fixture
def lines(photos: Path) -> list[str]:
    """The photos of the folder, as a list beside it names them."""
    return [
        f"photos/{path.parent.name}/{path.name},{path.parent.name}\n"
        for path in sorted(photos.rglob("*.png"))
    ]


def test_it_is_the_folder_that_it_lists(
    photos: Path, lines: list[str], fill: Any, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(HEAD + "".join(lines))
    listed = fill(None, from_csv=tmp_path / "list.csv")
    assert (listed.found, listed.computed, listed.bad) == (36, 36, [])
    folder = fill(photos)
    assert (folder.computed, folder.classes) == (0, listed.classes)
    again = fill(tmp_path / "list.csv")  # as `retrain train --data` and its advice write it
    assert (again.found, again.computed, again.cached) == (36, 0, 36)


def test_every_way_to_write_it(
    storage: Storage, photos: Path, fill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other columns, quotes, semicolons, UTF-16, absolute paths and URLs."""
    monkeypatch.setattr(bucket_source, "_TICK_NS", -(10**18))
    storage.upload(photos / "bee", "bucket/bees")
    rows = [f'7;"{photos}/ant/000{n}.png"; "red ant, small"' for n in range(5)]
    rows += [f"8;s3://bucket/bees/000{n}.png;bee" for n in range(5)]
    text = "\r\n".join(["id;Image;Label", *rows, "", ""])
    (tmp_path / "list.csv").write_bytes(text.encode("utf-16"))
    summary = fill(None, from_csv=tmp_path / "list.csv")
    assert {row.origin.class_name: row.images for row in summary.classes} == {
        "bee": 5,
        "red ant, small": 5,
    }
    storage.asked.clear()
    assert fill(None, from_csv=tmp_path / "list.csv").cached == 10
    assert list(storage.asked) == [("GET", "/bucket")]


def test_a_list_may_lie_in_a_bucket(
    storage: Storage, photos: Path, lines: list[str], fill: Any
) -> None:
    storage.upload(photos, "bucket/photos")
    storage.put("bucket/list.csv", (HEAD + "".join(lines)).encode())
    assert fill(None, from_csv="s3://bucket/list.csv").computed == 36


def test_what_is_gone_is_skipped_and_told(
    lines: list[str], photos: Path, fill: Any, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text(HEAD + "".join([*lines, lines[4], lines[5]]))
    (photos / "ant" / "0003.png").unlink()
    told: list[str] = []
    summary = fill(None, from_csv=tmp_path / "list.csv", on_warning=told.append)
    assert summary.found == 35
    ((path, reason),) = summary.bad
    assert path == "ant/photos/ant/0003.png"
    assert reason == "cannot be read (No such file or directory)"
    assert told == [f"{tmp_path}/list.csv line(s) 38, 39 name a photo again: it counts once"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1 is ''"),
        ("a.png,ant\nb.png,bee\n", "line 1 is 'a.png,ant': the first line names the columns"),
        (HEAD + "a.png,ant\nb.png\n", "line 3 has no label"),
        (HEAD + "a.png,ant\n,bee\n", "line 3 has no path"),
        (HEAD + "a.png,ant\n\na.png,bee\n", "line 4 calls a.png 'bee', and line 2 'ant'"),
        (HEAD + 'a.png,"ant\n', "is no CSV (unexpected end of data)"),
        (HEAD + "a.png,ant/red\n", "line 2 has the label 'ant/red'"),
        (HEAD + "https://example.org/a.png,ant\n", "line 2 lists https://example.org/a.png"),
        (HEAD + "a.png,ant\n", "at least 2 classes"),
    ],
)
def test_lines_that_make_no_sense(text: str, told: str, fill: Any, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DatasetError) as refused:
        fill(None, from_csv=tmp_path / "list.csv")
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_no_list(fill: Any, tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("path,label\nä.png,ant\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="UTF-8"):
        fill(None, from_csv=tmp_path / "latin.csv")
    with pytest.raises(DatasetError, match="No such file"):
        fill(None, from_csv=tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"ending in \.csv"):
        fill(None, from_csv=tmp_path / "list.txt")
    for both in ({}, {"image_dir": tmp_path, "from_csv": tmp_path / "list.csv"}):
        with pytest.raises(ConfigError, match="from one place"):
            BottleneckRequest(**both)  # type: ignore[arg-type]


def test_a_folder_may_be_called_like_a_list(fill: Any, tmp_path: Path) -> None:
    assert fill(make_photos(tmp_path / "set.csv", {"ant": 3, "bee": 3})).computed == 6
