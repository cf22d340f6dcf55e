"""The table has each photo once, in whole rows, whatever came in between."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watched_folders import files_below

from retrain_cli.errors import ConfigError
from retrain_cli.workflows.watching.inbox_watcher import InboxWatcher

Watch = Callable[..., dict[str, str | None]]
FORMS = {"csv": "labels.csv", "json": "labels.jsonl"}


def rows_of(table: Path) -> list[dict[str, Any]]:
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        if table.suffix == ".csv":
            return [{**row, "sorted_to": row.get("sorted to")} for row in csv.DictReader(file)]
        return [json.loads(line) for line in file]


@pytest.mark.parametrize("form", FORMS)
def test_a_row_says_what_became_of_a_photo(
    watch: Watch, inbox: Path, album: Path, form: str
) -> None:
    sizes = {name: len(data) for name, data in files_below(inbox).items()}
    watch(album, tags=form)
    rows = rows_of(album / FORMS[form])
    assert {row["path"]: row["sorted_to"] for row in rows} == {
        "a.png": "ant/a.png", "sub/b.png": "ant/b.png", "c.png": "bee/c.png"
    }  # fmt: skip
    for row in rows:
        assert int(row["size"]) == sizes[row["path"]]
        assert int(row["mtime_ns"]) == (album / row["sorted_to"]).stat().st_mtime_ns
        assert row["model"] == "album"
    best = [row["label"] if form == "csv" else row["labels"][0]["label"] for row in rows]
    assert best == [row["sorted_to"].partition("/")[0] for row in rows]


@pytest.mark.parametrize("form", FORMS)
def test_photos_that_stay_are_labelled_once(
    watcher: Callable[..., InboxWatcher], inbox: Path, form: str
) -> None:
    def names() -> list[str]:
        with watcher(tags=form) as watching:
            return [Path(photo.image.path).name for photo in watching.photos()]

    (inbox / "=a\n'.png").write_bytes((inbox / "a.png").read_bytes())
    before = files_below(inbox)
    strange = [] if form == "json" else ["=a\n'.png"]  # over two lines, it is no row to find again
    assert len(names()) == 4
    assert names() == strange
    (inbox / "a.png").write_bytes(before["c.png"])
    assert names() == [*strange, "a.png"]
    table = inbox / FORMS[form]
    assert [row["path"] for row in rows_of(table)].count("a.png") == 2
    assert files_below(inbox) == {
        **before, "a.png": before["c.png"], table.name: table.read_bytes()
    }  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_half_a_row_is_removed(watch: Watch, inbox: Path, album: Path, form: str) -> None:
    photo = (inbox / "a.png").read_bytes()
    watch(album, tags=form)
    table = album / FORMS[form]
    whole = table.read_bytes()
    (inbox / "d.png").write_bytes(photo)
    with table.open("ab") as file:
        file.write(b'{"path": "d.p')
    watch(album, tags=form)
    assert table.read_bytes().startswith(whole)
    assert [row["path"] for row in rows_of(table)].count("d.png") == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_row_whose_photo_did_not_move_is_removed(
    watch: Watch, inbox: Path, album: Path, form: str
) -> None:
    watch(album, tags=form)
    last = rows_of(album / FORMS[form])[-1]
    (album / last["sorted_to"]).rename(inbox / last["path"])
    watch(album, tags=form)
    paths = [row["path"] for row in rows_of(album / FORMS[form])]
    assert sorted(paths) == ["a.png", "c.png", "sub/b.png"]


def test_another_photo_of_a_name_that_moved_takes_no_row_away(
    watch: Watch, inbox: Path, album: Path
) -> None:
    bee = (inbox / "c.png").read_bytes()
    watch(album, tags="json")
    last = rows_of(album / "labels.jsonl")[-1]
    assert last["sorted_to"].startswith("ant/")
    (inbox / last["path"]).write_bytes(bee)
    watch(album, tags="json")
    assert [row["path"] for row in rows_of(album / "labels.jsonl")].count(last["path"]) == 2


def test_a_table_that_is_moved_away_begins_anew(
    watch: Watch, inbox: Path, album: Path, tmp_path: Path
) -> None:
    photo = (inbox / "a.png").read_bytes()
    watch(album, tags="csv")
    (album / "labels.csv").rename(tmp_path / "old.csv")
    (inbox / "d.png").write_bytes(photo)
    watch(album, tags="csv")
    assert [row["path"] for row in rows_of(album / "labels.csv")] == ["d.png"]


def test_a_table_with_other_columns_is_left_alone(watch: Watch, inbox: Path, album: Path) -> None:
    watch(album, tags="csv")
    before = files_below(album)
    with pytest.raises(ConfigError, match="other columns"):
        watch(album, tags="csv", labels={"top_k": 2})
    assert files_below(album) == before
