"""The walk: classes, given splits, what is passed over, links, and clear errors."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from pathlib import Path

import pytest

from retrain_cli.datasets import entries
from retrain_cli.datasets.folders import (
    empty_classes,
    images_below,
    list_classes,
    loose_files,
    walk_folders,
)
from retrain_cli.datasets.layout import read_layout
from retrain_cli.errors import DatasetError


def tree(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x" * 5)
    return root


def paths_of(root: Path, *ignore: Path) -> list[str]:
    return [
        f"{folder.path}/{file.name}"
        for folder in walk_folders(root, ignore)
        for file in folder.files
    ]


def test_first_level_is_the_class_and_deeper_ones_belong_to_it(tmp_path: Path) -> None:
    tree(tmp_path, "cat/2.jpg", "cat/1.jpg", "cat/more/deep/3.jpg", "ant/a.png", "cat/notes.txt")
    found = list(walk_folders(tmp_path))
    assert [folder.path for folder in found] == ["ant", "cat", "cat/more", "cat/more/deep"]
    assert [folder.class_name for folder in found] == ["ant", "cat", "cat", "cat"]
    assert {folder.given_split for folder in found} == {None}
    assert [file.name for file in found[1].files] == ["1.jpg", "2.jpg", "notes.txt"]
    status = (tmp_path / "ant" / "a.png").stat()
    (file,) = found[0].files
    assert (file.size, file.mtime_ns, file.inode) == (5, status.st_mtime_ns, status.st_ino)


def test_hidden_system_and_ignored_paths_are_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "cat/.hidden.jpg", "cat/.git/2.jpg", "__MACOSX/cat/1.jpg")
    tree(tmp_path, "cat/Thumbs.db", ".retrain/x.jpg", "work/space/x.jpg", "cat/skip/x.jpg")
    crooked = tmp_path / "cat" / ".." / "work"
    assert paths_of(tmp_path, crooked, tmp_path / "cat/skip", tmp_path / "gone") == ["cat/1.jpg"]
    assert list_classes(tmp_path, [crooked]) == ["cat"]


def test_links_are_followed_without_looping(tmp_path: Path) -> None:
    tree(tmp_path / "photos", "cat/1.jpg", "cat/in/2.jpg")
    tree(tmp_path / "elsewhere", "3.jpg")
    cat = tmp_path / "photos" / "cat"
    (cat / "loop").symlink_to(cat)
    (cat / "in" / "up").symlink_to(tmp_path / "photos")
    (cat / "out").symlink_to(tmp_path / "elsewhere")
    (cat / "4.jpg").symlink_to(cat / "1.jpg")
    (tmp_path / "photos" / "dog").symlink_to(tmp_path / "elsewhere")
    found = paths_of(tmp_path / "photos")
    assert "cat/4.jpg" in found
    assert "cat/out/3.jpg" in found
    assert "dog/3.jpg" in found
    assert len(found) < 12
    assert sum(path.endswith("1.jpg") for path in found) == 1


def test_broken_links_are_bad_images_where_they_are_named_so(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg")
    (tmp_path / "cat" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "cat" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "cat" / "self.png").symlink_to(tmp_path / "cat" / "self.png")
    (folder,) = walk_folders(tmp_path)
    sizes = {file.name: file.size for file in folder.files}
    assert sizes == {"1.jpg": 5, "gone.jpg": -1, "self.png": -1}


def test_pipes_and_sockets_are_no_files(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg")
    os.mkfifo(tmp_path / "cat" / "pipe.jpg")
    assert paths_of(tmp_path) == ["cat/1.jpg"]


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102 - a path of bytes
    Path(os.fsdecode(folder + b"/\xff.jpg")).write_bytes(b"x")
    tree(tmp_path, "猫/写真.jpg")
    found = list(walk_folders(tmp_path))
    assert {folder.class_name for folder in found} == {"caf\udce9", "猫"}
    for one in found:
        assert all((tmp_path / one.path / file.name).exists() for file in one.files)


def test_a_deep_tree(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        here = os.open("d", os.O_RDONLY, dir_fd=here)
    os.close(here)
    assert len(list(walk_folders(tmp_path))) == 300


def test_the_walk_is_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, *(f"c{n}/{m}.jpg" for n in range(5) for m in range(3)))
    seen: list[str] = []
    look = entries.look_at

    def listen(folder: Path, name: str, *, is_link: bool = False) -> entries.Entry:
        seen.append(name)
        return look(folder, name, is_link=is_link)

    monkeypatch.setattr(entries, "look_at", listen)
    walk = walk_folders(tmp_path)
    next(walk)
    before = seen.count("0.jpg")
    assert before == 1
    assert len(list(itertools.islice(walk, 2))) == 2
    assert seen.count("0.jpg") == 3


def test_loose_files_are_counted(tmp_path: Path) -> None:
    tree(tmp_path / "a", "cat/1.jpg", "dog/2.jpg", "3.jpg", "4.PNG", "README.md", ".5.jpg")
    tree(tmp_path / "b", "train/cat/1.jpg", "train/2.jpg", "3.jpg", "val/cat/4.jpg")
    assert loose_files(read_layout(tmp_path / "a")) == 2
    assert loose_files(read_layout(tmp_path / "b")) == 2
    assert paths_of(tmp_path / "a") == ["cat/1.jpg", "dog/2.jpg"]


def test_folders_that_are_no_dataset(tmp_path: Path) -> None:
    tree(tmp_path, "loose/1.jpg", "loose/2.jpg", "loose/readme.txt", "file")
    (tmp_path / "empty").mkdir()
    tree(tmp_path / "bare", "train/1.jpg")
    cases = {
        "missing": "no such file",
        "file": "not a directory",
        "empty": "with no sub-folder: make a sub-folder",
        "loose": "with 2 photos directly in it",
        "bare": "put the photos of each class into a folder such as train/CLASS",
    }
    for name, expected in cases.items():
        for use in (walk_folders, list_classes):
            with pytest.raises(DatasetError, match=expected) as caught:
                use(tmp_path / name)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)


def test_an_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "ant/1.jpg", "cat/1.jpg")
    refuse_to_list(monkeypatch, "cat")
    walk = walk_folders(tmp_path)
    assert next(walk).path == "ant"
    with pytest.raises(DatasetError, match=r"cat \(permission denied\): check"):
        next(walk)


def refuse_to_list(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """As if nobody might read folders of this name; root may, and runs the tests at times."""
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == name:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


@pytest.mark.real
def test_real_photos(test_data: Path) -> None:
    root = test_data / "data" / "caltech101"
    found = list(walk_folders(root))
    assert len(list_classes(root)) == 60
    assert len(found) == 60
    assert sum(len(folder.files) for folder in found) > 2000


@pytest.mark.parametrize("becomes", ["nothing", "a file"])
def test_a_folder_that_goes_during_the_walk_is_as_one_that_went_before(
    tmp_path: Path, becomes: str
) -> None:
    for name in ("ant", "bee", "cat"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(b"")
    walk = walk_folders(tmp_path)
    assert next(walk).path == "ant"
    shutil.rmtree(tmp_path / "bee")
    if becomes == "a file":
        (tmp_path / "bee").write_bytes(b"")
    assert [folder.path for folder in walk] == ["cat"]


SYSTEM = [
    "lost+found/x.jpg",
    "$RECYCLE.BIN/S-1-5-21/$R1.jpg",
    "$Recycle.Bin/S-1-5-21/$R1.jpg",
    "#recycle/old.jpg",
    "@Recycle/old.jpg",
    "#snapshot/daily/1.jpg",
    "System Volume Information/x.jpg",
    ".Trash-1000/files/1.jpg",
    ".Spotlight-V100/x.jpg",
    "@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg",
    "__MACOSX/cat/._1.jpg",
    "FOUND.000/FILE0000.jpg",
    "RECYCLER/x.jpg",
    "LOST.DIR/x.jpg",
]


@pytest.mark.parametrize("depth", ["", "cat/", "cat/more/"])
def test_what_systems_leave_behind_is_no_photo_at_any_depth(tmp_path: Path, depth: str) -> None:
    tree(tmp_path, "cat/1.jpg", "cat/more/2.jpg", "trash/1.jpg")
    tree(tmp_path, *(depth + path for path in SYSTEM))
    tree(tmp_path, *(depth + name for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.jpg")))
    assert paths_of(tmp_path) == ["cat/1.jpg", "cat/more/2.jpg", "trash/1.jpg"]
    assert [path.name for path in images_below(tmp_path)] == ["1.jpg", "2.jpg", "1.jpg"]


def test_what_systems_leave_behind_need_not_be_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/1.jpg", "lost+found/1.jpg")
    refuse_to_list(monkeypatch, "lost+found")
    assert paths_of(tmp_path) == ["cat/1.jpg", "dog/1.jpg"]


def test_images_below_are_those_of_the_walk(tmp_path: Path) -> None:
    tree(tmp_path, "photos/cat/1.jpg", "photos/cat/.h.jpg", "photos/cat/@eaDir/1.jpg", "else/2.jpg")
    tree(tmp_path, "photos/cat/notes.txt", "photos/state/3.jpg", "other/4.jpg")
    (tmp_path / "photos/cat/unnamed").write_bytes(b"GIF89a" + bytes(300))
    os.mkfifo(tmp_path / "photos" / "cat" / "pipe.jpg")
    (tmp_path / "photos/cat/gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "photos/linked").symlink_to(tmp_path / "else")
    (tmp_path / "photos/up").symlink_to("..")
    (tmp_path / "photos/cat/loop").symlink_to(tmp_path / "photos")
    found = images_below(tmp_path / "photos", [tmp_path / "photos" / "state"])
    below = [str(path.relative_to(tmp_path / "photos")) for path in found]
    assert below == ["cat/1.jpg", "cat/gone.jpg", "cat/unnamed", "linked/2.jpg"]


def test_images_below_a_path_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/1.jpg", "2.jpg")
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in images_below(Path())] == ["2.jpg", "a/1.jpg"]
    assert [str(path) for path in images_below(Path("a"))] == ["a/1.jpg"]
    assert str(next(images_below(Path("..", tmp_path.name)))).startswith("../")


def test_a_folder_that_cannot_be_read_comes_as_a_bad_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/1.jpg", "b/2.jpg", "c/3.jpg")
    refuse_to_list(monkeypatch, "b")
    below = [str(path.relative_to(tmp_path)) for path in images_below(tmp_path)]
    assert below == ["a/1.jpg", "c/3.jpg", "b"]


def test_a_lattice_of_links_is_walked_once(tmp_path: Path) -> None:
    """25 levels of two links and a photo each: 2 to the power of 24 paths."""
    for level in range(25):
        tree(tmp_path, f"levels/{level}/1.jpg")
    for level in range(24):
        for name in ("a", "b"):
            (tmp_path / f"levels/{level}/{name}").symlink_to(tmp_path / f"levels/{level + 1}")
    (tmp_path / "photos").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).symlink_to(tmp_path / "levels/0")
    assert len(paths_of(tmp_path / "photos")) == 50
    assert len(list(images_below(tmp_path / "photos"))) == 25


def test_a_folder_is_found_by_its_own_path_rather_than_through_a_link(tmp_path: Path) -> None:
    tree(tmp_path, "cat/b/1.jpg", "cat/c/d/2.jpg", "dog/3.jpg")
    (tmp_path / "cat" / "a").symlink_to(tmp_path / "cat" / "c" / "d")
    assert paths_of(tmp_path) == ["cat/b/1.jpg", "cat/c/d/2.jpg", "dog/3.jpg"]


@pytest.mark.parametrize("year", [-2000, 1901, 2261, 2263, 2446, 30828])
def test_times_far_away_fit_into_the_index(
    tmp_path: Path, year: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "cat/1.jpg")
    look = entries.look_at
    mtime = (year - 1970) * 365 * 86400 * 10**9

    class Far:
        """As NTFS and Samba tell it; the file system of the tests may not keep such times."""

        def __init__(self, real: os.stat_result) -> None:
            self.st_mode, self.st_size = real.st_mode, real.st_size
            self.st_dev, self.st_ino = real.st_dev, 2**64 - 1
            self.st_mtime_ns, self.st_ctime_ns = mtime, 1_500_000_000 * 10**9

    def look_far(folder: Path, name: str, *, is_link: bool = False) -> entries.Entry:
        found = look(folder, name)
        if not found.is_file or found.status is None:
            return found
        return entries.Entry(name, Far(found.status), is_link)  # type: ignore[arg-type]

    monkeypatch.setattr(entries, "look_at", look_far)
    (folder,) = walk_folders(tmp_path)
    (file,) = folder.files
    assert -(2**63) <= file.mtime_ns < 2**63
    assert file.mtime_ns % 2**64 == mtime % 2**64
    assert (file.inode, file.ctime_ns) == (-1, 1_500_000_000 * 10**9)


def test_a_file_that_changed_just_now_has_no_time_to_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "cat/1.jpg")
    changed = (tmp_path / "cat/1.jpg").stat().st_ctime_ns
    for later, trusted in ((0, False), (1_900_000_000, False), (2_100_000_000, True)):
        monkeypatch.setattr(time, "time_ns", lambda later=later: changed + later)
        ((file,),) = (folder.files for folder in walk_folders(tmp_path))
        assert (file.ctime_ns == changed) is trusted
    # The clock of a file server may be ahead of ours; a time a day ahead is one that was set.
    now = changed + 10**10
    monkeypatch.setattr(time, "time_ns", lambda: now)
    for ahead, trusted in ((60, False), (86_400, True)):
        os.utime(tmp_path / "cat/1.jpg", ns=(now, now + ahead * 10**9))
        monkeypatch.setattr(
            time, "time_ns", lambda: (tmp_path / "cat/1.jpg").stat().st_ctime_ns + 10**10
        )
        ((file,),) = (folder.files for folder in walk_folders(tmp_path))
        assert (file.ctime_ns is not None) is trusted


def test_empty_classes_are_known_by_the_names_of_their_files(tmp_path: Path) -> None:
    tree(tmp_path, "cat/1.jpg", "dog/in/unnamed", "notes/read.me.txt", "ant/.hidden.jpg")
    (tmp_path / "bird" / "deep").mkdir(parents=True)
    layout = read_layout(tmp_path)
    assert empty_classes(layout, walk_folders(tmp_path, layout=layout)) == ["ant", "bird", "notes"]
