"""`fill_cache`: what is computed, what is not, what is told."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from helpers import LIMIT, SMALL_SPEC, FakeBackbone, make_photos
from PIL import Image

from retrain_cli.errors import ConfigError, DatasetError, WorkspaceError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.shared.plan import plan_bottlenecks
from retrain_cli.workflows.shared.training_set import load_training_set
from retrain_cli.workspace import Workspace


def test_a_first_run_computes_everything_and_counts_it(photos: Path, fill: Any) -> None:
    summary = fill(photos)
    assert (summary.found, summary.computed, summary.cached) == (36, 36, 0)
    assert [row.origin.class_name for row in summary.classes] == ["ant", "bee", "teapot"]
    for row in summary.classes:
        assert row.images == row.training + row.validation + row.test == 12
        assert min(row.training, row.validation, row.test) >= 1


def test_a_second_run_computes_nothing_and_loads_no_backbone(
    photos: Path, fill: Any, fake_backbone: FakeBackbone
) -> None:
    fill(photos)
    seen = fake_backbone.images_seen
    summary = fill(photos)
    assert (summary.computed, summary.cached, summary.device) == (0, 36, None)
    assert fake_backbone.images_seen == seen


def test_renamed_moved_and_copied_photos_are_known(photos: Path, fill: Any, tmp_path: Path) -> None:
    fill(photos)
    (photos / "ant").rename(photos / "wasp")
    (photos / "bee" / "0003.png").rename(photos / "bee" / "other name.png")
    photos = photos.rename(tmp_path / "moved")
    summary = fill(photos)
    assert (summary.computed, summary.cached) == (0, 36)
    assert [row.origin.class_name for row in summary.classes] == ["bee", "teapot", "wasp"]


def test_a_renamed_folder_keeps_its_splits(photos: Path, fill: Any) -> None:
    before = {row.origin.class_name: row for row in fill(photos).classes}
    (photos / "ant").rename(photos / "wasp")
    after = {row.origin.class_name: row for row in fill(photos).classes}
    assert (before["ant"].training, before["ant"].test) == (
        after["wasp"].training,
        after["wasp"].test,
    )


def test_only_new_and_changed_photos_are_computed(photos: Path, fill: Any) -> None:
    fill(photos)
    make_photos(photos, {"ant": 1}, seed=77)  # overwrites ant/0000.png
    (photos / "bee" / "0000.png").unlink()
    extra = make_photos(photos.parent / "extra", {"x": 1}, seed=88) / "x" / "0000.png"
    extra.rename(photos / "bee" / "new.png")
    summary = fill(photos)
    assert (summary.found, summary.computed) == (36, 2)


def test_a_bad_photo_is_tried_again_and_computed_once_repaired(photos: Path, fill: Any) -> None:
    good = (photos / "ant" / "0000.png").read_bytes()
    (photos / "ant" / "0000.png").write_bytes(good[:100])
    assert [path for path, _ in fill(photos).bad] == ["ant/0000.png"]
    (photos / "ant" / "0000.png").write_bytes(good)
    summary = fill(photos)
    assert (summary.computed, summary.bad) == (1, [])


def test_a_class_with_bad_photos_alone_is_an_error_and_the_rest_is_kept(
    photos: Path, fill: Any, fake_backbone: FakeBackbone
) -> None:
    for path in (photos / "bee").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="all are bad in bee"):
        fill(photos)
    seen = fake_backbone.images_seen
    assert seen >= 24
    (photos / "bee").rename(photos.parent / "away")
    assert fill(photos).computed == 0
    assert fake_backbone.images_seen == seen


def test_int_and_ext(photos: Path, fill: Any, tmp_path: Path) -> None:
    rows = {row.origin.class_name: row.origin for row in fill(photos).classes}
    assert rows["ant"].origin is None  # random weights were trained on nothing
    rulings = tmp_path / "rulings.csv"
    rulings.write_text("class,int|ext\nant,ext\n")
    summary = fill(photos, source_classes="imagenet", int_ext=rulings)
    origins = {row.origin.class_name: row.origin.origin for row in summary.classes}
    assert origins == {"ant": "EXT", "bee": "INT", "teapot": "INT"}


def test_a_wrong_override_file_is_told_before_anything_is_computed(
    photos: Path, fill: Any, fake_backbone: FakeBackbone, tmp_path: Path
) -> None:
    rulings = tmp_path / "rulings.csv"
    rulings.write_text("dragon,int\n")
    with pytest.raises((ConfigError, DatasetError), match="dragon"):
        fill(photos, source_classes="imagenet", int_ext=rulings)
    assert fake_backbone.images_seen == 0


def test_given_splits_are_used_and_straddling_copies_told(tmp_path: Path, fill: Any) -> None:
    root = tmp_path / "split"
    make_photos(root / "train", {"a": 6, "b": 6}, seed=1)
    make_photos(root / "test", {"a": 2, "b": 2}, seed=2)
    (root / "test" / "a" / "copy.png").write_bytes((root / "train/a/0000.png").read_bytes())
    summary = fill(root)
    assert [(row.training + row.validation, row.test) for row in summary.classes] == [
        (6, 3),
        (6, 2),
    ]
    assert summary.straddling == 1


def test_two_commands_in_one_workspace(photos: Path, fill: Any, workspace: Workspace) -> None:
    workspace.prepare()
    holding, done = threading.Event(), threading.Event()

    def other_command() -> None:
        with workspace.lock("bottlenecks"):
            holding.set()
            done.wait(LIMIT)

    thread = threading.Thread(target=other_command)
    thread.start()
    holding.wait(LIMIT)
    try:
        with pytest.raises(WorkspaceError, match=rf"process {os.getpid()}.* is at work"):
            fill(photos)
    finally:
        done.set()
        thread.join()
    assert fill(photos).computed == 36


def test_a_plan_computes_nothing_and_is_right(
    photos: Path, fill: Any, workspace: Workspace, fake_backbone: FakeBackbone
) -> None:
    (photos / "bee" / "text.jpg").write_text("no photo")
    copy = (photos / "ant" / "0000.png").read_bytes()
    (photos / "ant" / "copy.png").write_bytes(copy)
    plan = plan_bottlenecks(BottleneckRequest(photos, SMALL_SPEC), workspace)
    assert (plan.found, plan.cached, plan.to_do, len(plan.bad)) == (37, 0, 36, 1)
    assert plan.seconds is None
    assert fake_backbone.images_seen == 0
    fill(photos)
    plan = plan_bottlenecks(BottleneckRequest(photos, SMALL_SPEC), workspace)
    assert (plan.found, plan.cached, plan.to_do) == (37, 37, 0)


def test_links_are_followed_and_the_workspace_is_not_a_class(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    target = make_photos(photos.parent / "elsewhere", {"cat": 4}) / "cat"
    (photos / "cat").symlink_to(target)
    (photos / "cat" / "loop").symlink_to(photos)
    inside = type(workspace)(photos / "workspace")
    inside.prepare()
    summary = fill(photos)
    assert "cat" in [row.origin.class_name for row in summary.classes]
    assert {row.origin.class_name: row.images for row in summary.classes}["ant"] == 12


def test_names_of_any_kind(tmp_path: Path, fill: Any) -> None:
    root = make_photos(tmp_path / "photos", {"猫 🐈": 4, "two words": 4})
    strange = os.fsdecode(b"not utf-8 \xff.png")
    (root / "two words" / "0000.png").rename(root / "two words" / strange)
    (root / "two words" / "0001.png").rename(root / "two words" / "new\nline.png")
    summary = fill(root)
    assert summary.computed == 8
    assert fill(root).cached == 8
    assert Path(summary.cache_path).exists()


def test_a_plan_does_not_change_what_is_trained_on(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    broken = (photos / "ant" / "0000.png").read_bytes()[:-300]
    (photos / "ant" / "broken.png").write_bytes(broken)
    fill(photos)
    (photos / "bee" / "new.png").write_bytes((photos / "ant" / "0001.png").read_bytes() + b"x")
    plan = plan_bottlenecks(BottleneckRequest(photos, SMALL_SPEC), workspace)
    assert (plan.cached, plan.to_do) == (36, 1)
    assert [path for path, _ in plan.bad] == ["ant/broken.png"]  # its header alone looks well
    assert len(load_training_set(workspace, TrainingConfig()).images) == 36


def test_photos_of_any_format_are_read_and_the_rest_is_named(photos: Path, fill: Any) -> None:
    for kind in ("ppm", "jp2", "tga", "pcx", "dds", "sgi"):
        seed = next(iter(sorted((photos / "bee").glob("*.png"))))
        Image.open(seed).save(photos / "ant" / f"x.{kind}")
    for name in ("a.psd", "b.psd", "c.mp4", "d.txt"):
        (photos / "ant" / name).write_bytes(b"whatever it is")
    (photos / "ant" / "e.NEF").write_bytes(b"II*\0 and so on")
    (photos / "drawings").mkdir()
    (photos / "drawings" / "a.svg").write_text("<svg/>")
    for _ in range(2):  # a later run does not open them, and still tells
        summary = fill(photos)
        assert (summary.found, summary.bad) == (42, [])
        kinds = {unread.kind: count for unread, count in summary.passed_over.kinds}
        assert kinds == {
            "Photoshop document (.psd)": 2,
            "camera raw file (.nef)": 1,
            "no image (.txt)": 1,
            "vector drawing (.svg)": 1,
            "video (.mp4)": 1,
        }
        assert summary.passed_over.classes == ("drawings",)
        assert summary.passed_over.files == 6


def test_a_dataset_that_was_passed_over_says_so(tmp_path: Path, fill: Any) -> None:
    make_photos(tmp_path / "photos", {"ant": 3})
    (tmp_path / "photos" / "bee").mkdir()
    (tmp_path / "photos" / "bee" / "a.psd").write_bytes(b"8BPS")
    with pytest.raises(DatasetError, match=r"passed over: 1 x Photoshop document \(\.psd\)"):
        fill(tmp_path / "photos")


def test_files_that_an_earlier_version_passed_over_are_looked_at(
    photos: Path, fill: Any, workspace: Workspace
) -> None:
    Image.new("RGB", (9, 9), "red").save(photos / "ant" / "x.ppm")
    fill(photos)
    with closing(sqlite3.connect(workspace.index_path)) as index, index:
        index.execute("UPDATE files SET digest = NULL WHERE name = ?", (b"x.ppm",))
    assert fill(photos).found == 37
