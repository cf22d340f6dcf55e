"""The index remembers files by any name, and forgets what is gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from retrain_cli.datasets.file_index import FileIndex, FileRecord, FolderRecord
from retrain_cli.errors import CacheError

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


def test_an_index_of_the_version_before_is_opened_and_its_files_are_read_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "old.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE datasets (id INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE);
            CREATE TABLE folders (dataset INTEGER, folder BLOB, class BLOB, given_split TEXT,
                PRIMARY KEY (dataset, folder)) WITHOUT ROWID;
            CREATE TABLE files (dataset INTEGER, folder BLOB, name BLOB, size INTEGER,
                mtime_ns INTEGER, digest BLOB, problem TEXT,
                PRIMARY KEY (dataset, folder, name)) WITHOUT ROWID;
            INSERT INTO datasets VALUES (1, CAST('/photos' AS BLOB));
            INSERT INTO files VALUES (1, CAST('cat' AS BLOB), CAST('x.jpg' AS BLOB), 10, 20,
                CAST('dddddddddddddddd' AS BLOB), NULL);
            PRAGMA user_version = 1;
        """)
    for _ in range(2):
        with FileIndex(path) as index:
            assert index.dataset_id(Path("/photos")) == 1
            record = FileRecord(10, 20, b"d" * 16)
            assert index.folder(1, "cat")["x.jpg"] == record
            new = replace(record, ctime_ns=-(2**63), inode=2**63 - 1)
            index.remember(1, [("cat", "new.jpg", new)])
            assert index.folder(1, "cat")["new.jpg"] == new


def test_an_index_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    FileIndex(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(CacheError, match="made by a newer version"):
        FileIndex(path)
