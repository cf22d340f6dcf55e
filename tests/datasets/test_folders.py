"""The walk: classes, given splits, what is passed over, links, and clear errors."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from retrain_cli.datasets import folders
from retrain_cli.datasets.folders import (
    check_class_names,
    class_of,
    detect_layout,
    list_classes,
    loose_files,
    walk_folders,
)
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
    assert (file.size, file.mtime_ns) == (5, status.st_mtime_ns)


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "VALID", "testing")])
def test_given_splits(tmp_path: Path, names: tuple[str, str, str]) -> None:
    tree(tmp_path, ".git/x", "README.md")
    tree(tmp_path, *(f"{name}/{own}/deep/1.jpg" for name in names for own in ("cat", "dog")))
    found = [folder for folder in walk_folders(tmp_path) if folder.files]
    assert [folder.class_name for folder in found] == ["cat", "dog"] * 3
    splits = {folder.path.split("/")[0]: folder.given_split for folder in found}
    assert splits == dict(zip(names, ("training", "validation", "test"), strict=True))
    assert list_classes(tmp_path) == ["cat", "dog"]


@pytest.mark.parametrize("names", [("train", "plane"), ("test", "val"), ("train", "test", "bus")])
def test_such_names_among_others_are_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    tree(tmp_path, *(f"{name}/1.jpg" for name in names))
    assert detect_layout(tmp_path) == "classes"
    assert list_classes(tmp_path) == sorted(names)


def test_class_of_agrees_with_the_walk(tmp_path: Path) -> None:
    tree(tmp_path / "a", "cat/x/1.jpg", "dog/2.jpg")
    tree(tmp_path / "b", "train/cat/x/1.jpg", "val/dog/2.jpg")
    for root in (tmp_path / "a", tmp_path / "b"):
        layout = detect_layout(root)
        for folder in walk_folders(root):
            assert class_of(folder.path, layout) == (folder.class_name, folder.given_split)


@pytest.mark.parametrize(
    ("path", "layout"), [("train", "splits"), ("x/y", "splits"), ("", "classes")]
)
def test_class_of_a_path_above_the_classes(path: str, layout: folders.Layout) -> None:
    with pytest.raises(DatasetError, match="folder of its class"):
        class_of(path, layout)


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
    deep = "/".join(["cat", *["d"] * 1200])
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=here)
        here = os.open("d", os.O_RDONLY, dir_fd=here)
    os.close(here)
    assert len(list(walk_folders(tmp_path))) == 300
    assert class_of(deep, "classes") == ("cat", None)


def test_the_walk_is_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, *(f"c{n}/{m}.jpg" for n in range(5) for m in range(3)))
    seen: list[str] = []
    look = folders._look_at

    def watched(*args: Any) -> Any:
        seen.append(args[1])
        return look(*args)

    monkeypatch.setattr(folders, "_look_at", watched)
    walk = walk_folders(tmp_path)
    next(walk)
    before = seen.count("0.jpg")
    assert before == 1
    assert len(list(itertools.islice(walk, 2))) == 2
    assert seen.count("0.jpg") == 3


def test_loose_files_are_counted(tmp_path: Path) -> None:
    tree(tmp_path / "a", "cat/1.jpg", "dog/2.jpg", "3.jpg", "4.PNG", "README.md", ".5.jpg")
    tree(tmp_path / "b", "train/cat/1.jpg", "train/2.jpg", "3.jpg", "val/cat/4.jpg")
    assert loose_files(tmp_path / "a") == 2
    assert loose_files(tmp_path / "b") == 2
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
        "bare": "one sub-folder per class",
    }
    for name, expected in cases.items():
        for use in (walk_folders, list_classes):
            with pytest.raises(DatasetError, match=expected) as caught:
                use(tmp_path / name)
            assert name in str(caught.value)
            assert "\n" not in str(caught.value)


def test_an_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "ant/1.jpg", "cat/1.jpg")
    listdir = os.listdir

    def refuse(path: Path) -> list[str]:
        if Path(path).name == "cat":
            raise PermissionError(13, "Permission denied")
        return listdir(path)

    monkeypatch.setattr(os, "listdir", refuse)
    walk = walk_folders(tmp_path)
    assert next(walk).path == "ant"
    with pytest.raises(DatasetError, match=r"cat \(permission denied\): check"):
        next(walk)


def test_class_names() -> None:
    check_class_names(["cat", "dog", "猫", "кот", "Größe"])
    with pytest.raises(DatasetError, match=r"'Cat' and 'cat'"):
        check_class_names(["Cat", "ant", "cat"])
    with pytest.raises(DatasetError, match="differ in more than case"):
        check_class_names(["caf\u00e9", "cafe\u0301"])
    with pytest.raises(DatasetError, match=r"STRASSE"):
        check_class_names(["straße", "STRASSE"])
    with pytest.raises(DatasetError, match=r"at least 2 classes; received \['cat'\]"):
        check_class_names(["cat"])


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
