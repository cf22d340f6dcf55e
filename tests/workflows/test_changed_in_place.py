"""Photos whose content changes while size and time stay; a file system that numbers anew."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import SMALL_SPEC, FakeBackbone, make_photos
from PIL import Image

from retrain_cli.datasets import folders
from retrain_cli.datasets.dataset import load_dataset
from retrain_cli.datasets.file_index import FileIndex
from retrain_cli.extraction import readers
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.images.examine import content_digest, examine_file
from retrain_cli.workflows.bottlenecks import BottleneckRequest, request_for_data
from retrain_cli.workflows.check import CheckRequest, check_dataset
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workspace import Workspace


@pytest.fixture
def bitmaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos that are all of one size and time, looked at long after they were taken."""
    root = make_photos(tmp_path / "bitmaps", {"ant": 12, "bee": 12})
    for path in sorted(root.rglob("*.png")):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    for path in root.rglob("*.bmp"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    monkeypatch.setattr(folders, "_CLOCK_TICK_NS", -(10**12))
    return root


def swap(root: Path) -> None:
    one, other, away = root / "ant/0000.bmp", root / "bee/0000.bmp", root.parent / "away"
    one.rename(away)
    other.rename(one)
    away.rename(other)


def rewrite_in_place(root: Path) -> None:
    """As a tool does that mends a photo and keeps its time."""
    path = root / "ant/0000.bmp"
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(200)
        file.write(b"changed")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_over(root: Path) -> None:
    """As `cp -p` does."""
    path, other = root / "ant/0000.bmp", root / "ant/0001.bmp"
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(other.stat().st_atime_ns, other.stat().st_mtime_ns))


def move_over(root: Path) -> None:
    """As `rsync --times` does: a new file in the place of the old."""
    new = root.parent / "new"
    new.write_bytes((root / "bee/0001.bmp").read_bytes())
    os.utime(new, (1_700_000_000, 1_700_000_000))
    new.rename(root / "ant/0000.bmp")


CHANGES = [swap, rewrite_in_place, copy_over, move_over]


def known_digests(workspace: Workspace, root: Path) -> dict[str, bytes]:
    with FileIndex(workspace.index_path) as index:
        dataset = load_dataset(index, root)
    return dict(zip(dataset.paths, dataset.digests, strict=True))


def true_digests(root: Path) -> dict[str, bytes]:
    files = sorted(root.rglob("*.bmp"))
    return {str(f.relative_to(root)): content_digest(f.read_bytes()) for f in files}


@pytest.mark.parametrize("change", CHANGES)
def test_the_new_content_is_used(
    bitmaps: Path, fill: Any, workspace: Workspace, change: Callable[[Path], None]
) -> None:
    fill(bitmaps)
    change(bitmaps)
    assert {path.stat().st_mtime for path in bitmaps.rglob("*.bmp")} == {1_700_000_000.0}
    assert len({path.stat().st_size for path in bitmaps.rglob("*.bmp")}) == 1
    summary = fill(bitmaps)
    assert known_digests(workspace, bitmaps) == true_digests(bitmaps)
    assert summary.computed == (1 if change is rewrite_in_place else 0)


@pytest.mark.parametrize("change", CHANGES)
def test_check_sees_them_and_its_advice_works(
    bitmaps: Path, fill: Any, workspace: Workspace, change: Callable[[Path], None]
) -> None:
    fill(bitmaps)
    check = CheckRequest(labels=False)
    assert check_dataset(check, workspace).unseen == 0
    change(bitmaps)
    assert check_dataset(check, workspace).unseen == (2 if change is swap else 1)
    fill(bitmaps)
    assert check_dataset(check, workspace).unseen == 0


def test_photos_that_did_not_change_are_not_opened(
    bitmaps: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(bitmaps)
    request = BottleneckRequest(bitmaps, SMALL_SPEC)
    opened: list[str] = []

    def examine(place: str, *others: Any) -> Any:
        opened.append(Path(place).name)
        return examine_file(place, *others)

    monkeypatch.setattr(readers, "examine_file", examine)
    assert plan_bottlenecks(request, workspace).cached == 24
    assert opened == []
    make_photos(bitmaps, {"ant": 1}, seed=8)
    plan_bottlenecks(request, workspace)
    assert opened == ["0000.png"], "what is new is"


def test_a_photo_that_changed_just_before_is_read_twice(
    bitmaps: Path, fill: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second change could bear the same time as the first, which is what was remembered."""
    monkeypatch.undo()
    fill(bitmaps)
    with FileIndex(workspace.index_path) as index:
        records = index.folder(index.dataset_id(bitmaps), "ant")
    assert {record.ctime_ns for record in records.values()} == {None}
    rewrite_in_place(bitmaps)
    fill(bitmaps)
    assert known_digests(workspace, bitmaps) == true_digests(bitmaps)


def test_an_index_of_the_version_before_costs_reading_but_no_computing(
    bitmaps: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    fill(bitmaps)
    with closing(sqlite3.connect(workspace.index_path)) as connection, connection:
        for column in ("ctime_ns", "inode"):
            connection.execute(f"ALTER TABLE files DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")
    swap(bitmaps)
    seen = fake_backbone.images_seen
    told: list[str] = []
    summary = fill(bitmaps, on_progress=lambda counts: told.append(counts.stage))
    assert (summary.cached, summary.computed) == (24, 0)
    assert fake_backbone.images_seen == seen
    assert known_digests(workspace, bitmaps) == true_digests(bitmaps)
    assert "reading again 24 photos that may have changed in place" in told


def test_rescan_reads_everything_again(bitmaps: Path, fill: Any, workspace: Workspace) -> None:
    fill(bitmaps)
    wrong = b"w" * 16
    with closing(sqlite3.connect(workspace.index_path)) as connection, connection:
        connection.execute("UPDATE files SET digest = ? WHERE name = ?", (wrong, b"0003.bmp"))
    assert fill(bitmaps, rescan=True).computed == 0
    assert known_digests(workspace, bitmaps) == true_digests(bitmaps)
    assert request_for_data(bitmaps, workspace, rescan=True).rescan


def test_a_layout_that_was_chosen_is_remembered_for_this_folder(
    tmp_path: Path, fill: Any, workspace: Workspace
) -> None:
    root = make_photos(tmp_path / "photos", {"train/cat": 12, "train/dog": 12, "unlabeled": 3})
    told: list[str] = []
    summary = fill(root, layout="splits", on_warning=told.append)
    assert [row.origin.class_name for row in summary.classes] == ["cat", "dog"]
    assert told == list(summary.warnings)
    assert "unlabeled/" in told[0]
    assert request_for_data(root, workspace).layout == "splits"
    assert request_for_data(tmp_path, workspace).layout == "auto"


def test_an_empty_class_is_told_before_the_work(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    (photos / "bird").mkdir()
    told: list[str] = []
    summary = fill(photos, on_warning=told.append)
    assert told == ["no photo in bird/: not a class until there is one"]
    assert "bird" not in [row.origin.class_name for row in summary.classes]


def test_an_override_of_all_classes_goes_with_some_of_them(
    photos: Path, fill: Any, workspace: Workspace, tmp_path: Path
) -> None:
    override = tmp_path / "int-ext.csv"
    override.write_text("teapot,ext\nant,ext\n")
    fill(photos, int_ext=override)
    config = TrainingConfig(classes=("ant", "bee"))
    origins = load_training_set(workspace, config).origins
    assert [(one.class_name, one.origin) for one in origins] == [("ant", "EXT"), ("bee", None)]
