"""Sorting by label: nothing is replaced or lost, and the second time changes nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.errors import ConfigError, WorkspaceError
from retrain_cli.workflows.sort_photos import UNNAMED, PhotoSorter, SortRequest, folder_names

WAYS: dict[str, dict[str, Any]] = {
    "copies": {},
    "hard links": {"link": "hard"},
    "symbolic links": {"link": "symbolic"},
    "moves": {"move": True},
}


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two different photos of one name, and a third one."""
    paths = [tmp_path / "in" / name for name in ("a/1.jpg", "b/1.jpg", "b/2.jpg")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"photo {path.parent.name}{path.name}")
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return paths


def sort(
    photos: list[Path], target: Path, labels: tuple[str | None, ...], **way: Any
) -> list[Path]:
    with PhotoSorter(SortRequest(target, **way), ("ant", "bee")) as sorter:
        return [sorter.place(photo, label) for photo, label in zip(photos, labels, strict=True)]


def contents(target: Path) -> dict[str, str]:
    return {
        str(path.relative_to(target)): path.read_text()
        for path in sorted(target.rglob("*"))
        if not path.is_dir()
    }


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_photos_come_into_the_folders_of_their_labels(
    photos: list[Path], tmp_path: Path, way: dict[str, Any]
) -> None:
    before = [photo.read_text() for photo in photos]
    placed = sort(photos, tmp_path / "out", ("ant", "ant", None), **way)
    assert contents(tmp_path / "out") == {
        "ant/1.jpg": before[0],
        "ant/1-2.jpg": before[1],
        f"{UNNAMED}/2.jpg": before[2],
    }
    assert [path.read_text() for path in placed] == before
    assert [photo.exists() for photo in photos] == [not way.get("move")] * 3
    assert all(path.stat().st_mtime == 1_000_000_000 for path in placed)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_second_time_changes_nothing(
    photos: list[Path], tmp_path: Path, way: dict[str, Any]
) -> None:
    first = sort(photos, tmp_path / "out", ("ant", "ant", "bee"), **way)
    before = contents(tmp_path / "out")
    there = first if way.get("move") else photos
    assert sort(there, tmp_path / "out", ("ant", "ant", "bee"), **way) == first
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_file_is_replaced(photos: list[Path], tmp_path: Path, way: dict[str, Any]) -> None:
    folder = tmp_path / "out" / "ant"
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_text("of somebody else")
    (folder / "1-2.jpg").symlink_to("nowhere")
    (folder / "1-3.jpg").mkdir()
    assert sort(photos[:1], tmp_path / "out", ("ant",), **way) == [folder / "1-4.jpg"]
    assert (folder / "1.jpg").read_text() == "of somebody else"


def test_a_photo_that_is_named_twice_is_moved_once(photos: list[Path], tmp_path: Path) -> None:
    first, again = sort([photos[0], photos[0]], tmp_path / "out", ("ant", "ant"), move=True)
    assert first == again
    assert len(contents(tmp_path / "out")) == 1


def test_a_move_that_was_killed_half_way_is_finished(photos: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "out" / "ant"
    folder.mkdir(parents=True)
    os.link(photos[0], folder / "1.jpg")
    sort(photos[:1], tmp_path / "out", ("ant",), move=True)
    assert not photos[0].exists()
    assert list(contents(tmp_path / "out")) == ["ant/1.jpg"]


def test_a_link_to_a_photo_is_no_place_for_it_to_move_to(
    photos: list[Path], tmp_path: Path
) -> None:
    text = photos[0].read_text()
    sort(photos[:1], tmp_path / "out", ("ant",), link="symbolic")
    (placed,) = sort(photos[:1], tmp_path / "out", ("ant",), move=True)
    assert placed.read_text() == text
    assert not placed.is_symlink()


def test_a_relative_link_leads_to_the_same_photo_after_a_move(
    photos: list[Path], tmp_path: Path
) -> None:
    link = photos[0].parent / "link.jpg"
    link.symlink_to("1.jpg")
    (placed,) = sort([link], tmp_path / "out", ("ant",), move=True)
    assert placed.samefile(photos[0])
    assert not link.is_symlink()


def test_to_another_disk_goes_a_copy(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    text = photos[0].read_text()
    (copied,) = sort(photos[:1], tmp_path / "out", ("ant",))
    assert copied.read_text() == text
    (moved,) = sort(photos[:1], tmp_path / "moved", ("ant",), move=True)
    assert moved.read_text() == text
    assert not photos[0].exists()
    with pytest.raises(ConfigError, match="link='symbolic'"):
        sort(photos[1:2], tmp_path / "out", ("ant",), link="hard")


def test_a_copy_that_broke_off_is_not_seen(
    photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill_the_disk(source: Path, target: Path) -> None:
        target.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copy2", fill_the_disk)
    with pytest.raises(WorkspaceError, match="No space left"):
        sort(photos[:1], tmp_path / "out", ("ant",))
    assert contents(tmp_path / "out") == {}


def test_awkward_labels_are_folders_of_their_own() -> None:
    labels = [
        *("ant", "Ant", "a/b", "a_b", "..", ".", "", ".hidden", "CON", "nul.txt", "tail. ", "a:b?"),
        *(UNNAMED, "x" * 300, "x" * 299, "é", "e\u0301", "猫" * 90, "line\nfeed", "\udcff"),
    ]
    names = folder_names(labels)
    assert len({name.casefold() for name in names.values()}) == len(labels)
    assert UNNAMED not in names.values()
    assert (names["Ant"], names["ant"]) == ("Ant", "ant-2")
    assert names["a_b"] == "a_b"
    for name in names.values():
        assert name
        assert not set('<>:"/\\|?*\n') & set(name)
        assert not name.startswith(".")
        assert not name.endswith((".", " "))
        assert len(name.encode()) < 255


@pytest.mark.parametrize(
    "wrong",
    [{"move": True}, {"link": "hard"}, {"sort_into": "x", "move": True, "link": "hard"}],
)
def test_requests_that_cannot_work(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        SortRequest(**wrong)
