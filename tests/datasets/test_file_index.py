"""The index remembers files by any name, and forgets what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain_cli.datasets.file_index import FileIndex, FileRecord, FolderRecord

RECORD = FileRecord(10, 123_456_789, b"d" * 16)
STRANGE_NAMES = [
    "plain.jpg",
    "two words.jpg",
    "new\nline.jpg",
    "猫.jpg",
    "bytes\udcff.jpg",
    "'\".jpg",
]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[FileIndex]:
    with FileIndex(tmp_path / "index.sqlite") as index:
        yield index


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_any_file_name_comes_back(index: FileIndex, name: str) -> None:
    dataset = index.dataset_id(Path("/photos"))
    index.remember(dataset, [(name, name, RECORD)])
    assert index.folder(dataset, name) == {name: RECORD}


def test_datasets_are_kept_apart(index: FileIndex) -> None:
    first, second = (index.dataset_id(Path(root)) for root in ("/a", "/b"))
    assert first != second == index.dataset_id(Path("/b"))
    index.remember(first, [("cat", "x.jpg", RECORD)])
    assert index.folder(second, "cat") == {}
    assert index.known_digests() == {b"d" * 16}


def test_folders_that_are_gone_take_their_files_with_them(index: FileIndex) -> None:
    dataset = index.dataset_id(Path("/photos"))
    cat, dog = FolderRecord("cat", None), FolderRecord("dog", "test")
    index.replace_folders(dataset, {"cat": cat, "test/dog": dog})
    index.remember(dataset, [("cat", "x.jpg", RECORD), ("test/dog", "y.jpg", RECORD)])
    index.replace_folders(dataset, {"test/dog": dog})
    assert index.folders(dataset) == {"test/dog": dog}
    assert [file.name for file in index.files(dataset)] == ["y.jpg"]


def test_a_changed_folder_is_replaced(index: FileIndex) -> None:
    dataset = index.dataset_id(Path("/photos"))
    index.replace_folders(dataset, {"cat": FolderRecord("cat", None)})
    index.replace_folders(dataset, {"cat": FolderRecord("cat", "training")})
    assert index.folders(dataset)["cat"].given_split == "training"


def test_files_can_be_forgotten(index: FileIndex) -> None:
    dataset = index.dataset_id(Path("/photos"))
    index.remember(dataset, [("cat", "x.jpg", RECORD), ("cat", "y.jpg", RECORD)])
    index.forget(dataset, "cat", ["x.jpg"])
    assert set(index.folder(dataset, "cat")) == {"y.jpg"}
