"""`retrain dataset split`: lists and links say what the clusters are; photos are left alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from helpers import make_photos

from retrain_cli.errors import ConfigError, DatasetError
from retrain_cli.workflows.transfer.split_by_similarity import (
    SimilaritySplitRequest,
    split_by_similarity,
)
from retrain_cli.workspace import Workspace


@pytest.fixture
def folder(tmp_path: Path, fill: Any) -> Path:
    """Three classes of photos whose bottlenecks are cached; those of one bee belong together."""
    root = make_photos(tmp_path / "photos", {"ant": 12, "bee": 12, "cat": 9})
    for number in range(4):
        (root / "bee" / f"{number:04}.png").rename(root / "bee" / f"one_nohash_{number}.png")
    fill(root)
    return root


def listed(path: Path) -> list[Path]:
    return [Path(line) for line in path.read_text().splitlines()]


def state_of(root: Path) -> dict[str, Any]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ino, path.stat().st_nlink)
        for path in sorted(root.rglob("*"))
    }


def test_lists_hold_each_photo_once(folder: Path, workspace: Workspace, tmp_path: Path) -> None:
    before = state_of(folder)
    found = split_by_similarity(SimilaritySplitRequest(tmp_path / "out"), workspace)
    source, target = (listed(tmp_path / "out" / f"{side}.txt") for side in ("source", "target"))
    assert sorted([*source, *target]) == sorted(folder.rglob("*.png"))
    for one in found.classes:
        assert one.source == sum(path.parent.name == one.name for path in source)
        assert one.target == sum(path.parent.name == one.name for path in target)
        assert one.source >= one.target > 0
    assert state_of(folder) == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "source.txt",
        "target.txt",
    ]
    for together in (source, target):
        assert sum("_nohash_" in path.name for path in together) in (0, 4)


def test_links_are_a_dataset_of_their_own(
    folder: Path, workspace: Workspace, tmp_path: Path, fill: Any
) -> None:
    before = state_of(folder)
    out = tmp_path / "out"
    out.mkdir()  # an empty folder may be there
    found = split_by_similarity(SimilaritySplitRequest(out, links=True), workspace)
    for side in ("source", "target"):
        links = sorted((out / side).rglob("*.png"))
        assert all(path.is_symlink() for path in links)
        assert sorted(path.resolve() for path in links) == sorted(listed(out / f"{side}.txt"))
        assert all(path.parent.name == path.resolve().parent.name for path in links)
    assert state_of(folder) == before
    again = fill(out / "target")
    assert (again.computed, again.cached) == (0, sum(one.target for one in found.classes))


def test_photos_of_one_name_in_given_splits_are_all_linked(
    tmp_path: Path, workspace: Workspace, fill: Any
) -> None:
    for seed, split in enumerate(("train", "val")):
        make_photos(tmp_path / "photos" / split, {"ant": 9, "bee": 9}, seed=seed)
    fill(tmp_path / "photos")
    out = tmp_path / "out"
    split_by_similarity(SimilaritySplitRequest(out, links=True), workspace)
    linked = {path.resolve() for path in out.rglob("*.png")}
    assert linked == {path.resolve() for path in (tmp_path / "photos").rglob("*.png")}


def test_some_classes_alone(folder: Path, workspace: Workspace, tmp_path: Path) -> None:
    request = SimilaritySplitRequest(tmp_path / "out", classes=("ant", "cat"))
    assert [one.name for one in split_by_similarity(request, workspace).classes] == ["ant", "cat"]


def test_a_folder_that_is_not_empty_is_refused(
    folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(ConfigError, match="is not empty"):
        split_by_similarity(SimilaritySplitRequest(tmp_path / "out"), workspace)
    with pytest.raises(ConfigError, match="is a file"):
        split_by_similarity(SimilaritySplitRequest(tmp_path / "out" / "mine.txt"), workspace)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_folder_among_the_photos_is_refused(
    folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "alias").symlink_to(folder)
    for place in (folder / "out", tmp_path / "alias" / "out"):
        with pytest.raises(ConfigError, match="outside of the photos"):
            split_by_similarity(SimilaritySplitRequest(place), workspace)
        assert not place.exists()


def test_nothing_is_left_where_it_fails(
    folder: Path, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", fail)
    with pytest.raises(Exception, match="No space"):
        split_by_similarity(SimilaritySplitRequest(tmp_path / "out", links=True), workspace)
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
    assert not list(tmp_path.rglob("source.txt"))


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_a_line_feed_in_a_name_is_told(tmp_path: Path, workspace: Workspace, fill: Any) -> None:
    root = make_photos(tmp_path / "photos", {"ant": 6, "bee": 6})
    (root / "ant" / "0000.png").rename(root / "ant" / "a\nb.png")
    fill(root)
    with pytest.raises(DatasetError, match=r"and '.*/a\\nb.png' has a line feed"):
        split_by_similarity(SimilaritySplitRequest(tmp_path / "out"), workspace)
    assert not (tmp_path / "out").exists()
