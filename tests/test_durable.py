"""Drafts look like nothing else, go when they are old, and names are on the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from retrain_cli.durable import (
    DRAFT_PREFIX,
    LEFT_BEHIND_S,
    draft_folder,
    make_folder,
    sweep_drafts,
    sync,
    sync_tree,
)
from retrain_cli.errors import WorkspaceError
from retrain_cli.runs.folder import clean_leftovers
from retrain_cli.workspace import Workspace, replacing, write_atomically


def make_old(path: Path) -> None:
    """As if nobody had touched it for a day and more."""
    time = path.lstat().st_mtime - LEFT_BEHIND_S - 60
    os.utime(path, (time, time), follow_symlinks=False)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is renamed and what is written through, in order."""
    seen: list[tuple[str, Path]] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        seen.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink()))

    def replaced(source: Any, target: Any) -> None:
        replace(source, target)
        seen.append(("replace", Path(target)))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return seen


def test_content_name_and_folder_are_on_the_disk(
    tmp_path: Path, events: list[tuple[str, Path]]
) -> None:
    target = tmp_path / "state.json"
    write_atomically(target, "{}")
    assert [what for what, _ in events] == ["fsync", "replace", "fsync"]
    assert events[0][1].name == target.name
    assert events[0][1].parent.name.startswith(DRAFT_PREFIX)
    assert events[1:] == [("replace", target), ("fsync", tmp_path)]


def test_a_tree_and_the_folders_above_it(tmp_path: Path, events: list[tuple[str, Path]]) -> None:
    make_folder(tmp_path / "a" / "b")
    assert [path for _, path in events] == [tmp_path, tmp_path / "a"]
    events.clear()
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "link").symlink_to("nowhere")
    sync_tree(tmp_path / "a")
    assert [path for _, path in events] == [
        tmp_path / "a" / "b",
        tmp_path / "a" / "b" / "file",
        tmp_path / "a",
    ]


def test_a_folder_that_cannot_be_written_through_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(22, "Invalid argument")  # as some network disks say of folders

    monkeypatch.setattr(os, "fsync", refuse)
    sync(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Invalid"):
        sync(tmp_path / "file")


def test_a_draft_is_in_a_folder_that_nobody_else_may_enter(tmp_path: Path) -> None:
    target = tmp_path / "000001.json"
    with replacing(target) as draft:
        assert stat.S_IMODE(draft.parent.stat().st_mode) == 0o700
        assert list(tmp_path.glob("*.json")) == []
        draft.write_text("{}")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask


def test_two_drafts_of_one_file_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    with replacing(target) as one, replacing(target) as other:
        one.write_text("one")
        other.write_text("other")
    assert target.read_text() == "one"  # the outer block ends last


def test_a_link_where_drafts_were_made_before_is_not_written_through(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in (f".state.{os.getpid()}.json", f".report.{os.getpid()}.html"):
        (tmp_path / name).symlink_to(mine)
    write_atomically(tmp_path / "state.json", "{}")
    write_atomically(tmp_path / "report.html", "<p>")
    assert mine.read_text() == "mine"


def test_what_is_no_ordinary_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WorkspaceError, match="ordinary file"):
        write_atomically(tmp_path / "pipe", "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_drafts_are_swept_up_by_age(tmp_path: Path) -> None:
    old, young, busy = (tmp_path / f"{DRAFT_PREFIX}{name}" for name in ("old", "young", "busy"))
    for folder in (old, young, busy):
        folder.mkdir()
        (folder / "file").write_text("x")
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x")
    for folder in (old, busy):
        for path in (*folder.rglob("*"), folder):
            make_old(path)
    (busy / "inner" / "file").write_text("still written")
    write_atomically(tmp_path / "out.csv", "x")  # in any folder, without a word
    assert {path.name for path in tmp_path.iterdir()} == {young.name, busy.name, "out.csv"}


def test_a_link_that_is_called_like_a_draft_costs_nobody_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "photo.jpg").write_text("x")
    make_old(mine / "photo.jpg")
    make_old(mine)
    link = tmp_path / f"{DRAFT_PREFIX}link"
    link.symlink_to(mine)
    make_old(link)
    with draft_folder(tmp_path) as folder:
        (folder / "link").symlink_to(mine)
    assert (mine / "photo.jpg").exists()
    assert not link.is_symlink()


DRAFTS_BEFORE = [
    ".state.4711.json",
    "moves/.000001.4711.json",
    "cache/.mobilenet-5173c1961e90.4711.sqlite",
    "cache/.mobilenet-5173c1961e90.4711.sqlite-wal",
    "cache/models/.draft-abc123",
]
NO_DRAFTS = [
    "state.json",
    ".gitignore",
    "moves/000001.json",
    "cache/mobilenet-5173c1961e90.sqlite",
    "cache/mobilenet-5173c1961e90.damaged-1",
    "cache/models/mobilenet-1a2b-float32-0123456789abcdef",
    "runs/.hidden.4711.txt",
]


def test_drafts_of_versions_before_go_from_the_workspace_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "state")
    workspace.prepare()
    for name in (*DRAFTS_BEFORE, *NO_DRAFTS):
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        make_old(path)
    workspace.prepare()
    assert [name for name in DRAFTS_BEFORE if (workspace.root / name).exists()] == []
    assert [name for name in NO_DRAFTS if not (workspace.root / name).exists()] == []
    mine = tmp_path / ".notes.4711.txt"
    mine.write_text("x")
    make_old(mine)
    sweep_drafts(tmp_path)
    assert mine.exists()
    sweep_drafts(tmp_path / "nowhere")


def test_leftovers_among_runs(tmp_path: Path) -> None:
    run = tmp_path / "first"
    run.mkdir()
    (run / "config.json").write_text("{}")
    calibration = run / ".calibration.4711.npz"
    locks = [tmp_path / f".draft-{name}.lock" for name in ("old", "young", "held")]
    for path in (calibration, *locks):
        path.write_text("")
    for path in (calibration, locks[0], locks[2]):
        make_old(path)
    with FileLock(locks[2]):
        make_old(locks[2])
        clean_leftovers(tmp_path)
    assert [lock.exists() for lock in locks] == [False, True, True]
    assert not calibration.exists()
    assert (run / "config.json").exists()
