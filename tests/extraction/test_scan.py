"""What is trusted of a known file, and what has to be read again."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex, FileRecord
from retrain_cli.datasets.folders import FoundFile, FoundFolder
from retrain_cli.extraction.scan import scan_folders, unchanged_files

NAMES = ("a", "b", "c", "d")


def found(name: str, **changes: int | None) -> FoundFile:
    values = {"size": 10, "mtime_ns": 20, "ctime_ns": 30, "inode": ord(name), **changes}
    return FoundFile(name, **values)  # type: ignore[arg-type]


def known(name: str, **changes: int | None) -> FileRecord:
    values = {"size": 10, "mtime_ns": 20, "ctime_ns": 30, "inode": ord(name), **changes}
    return FileRecord(digest=name.encode() * 16, **values)  # type: ignore[arg-type]


KNOWN = {name: known(name) for name in NAMES}


def test_a_file_is_trusted_where_nothing_of_it_changed() -> None:
    assert unchanged_files([found(name) for name in NAMES], KNOWN) == KNOWN


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_any_change_makes_it_doubtful(field: str) -> None:
    files = [found("a", **{field: 99}), *map(found, "bcd")]
    assert set(unchanged_files(files, KNOWN)) == {"b", "c", "d"}


def test_a_file_that_changed_just_before_is_read_again() -> None:
    files = [found(name) for name in NAMES]
    assert set(unchanged_files(files, KNOWN | {"a": known("a", ctime_ns=None)})) == {"b", "c", "d"}
    assert set(unchanged_files([found("a", ctime_ns=None), *files[1:]], KNOWN)) == {"b", "c", "d"}


def test_exchanged_files_are_seen_where_renaming_changes_no_time() -> None:
    everywhere = [found(name, inode=ord(other)) for name, other in zip("abcd", "badc", strict=True)]
    assert unchanged_files(everywhere, KNOWN) == {}
    two = [found("a", inode=ord("b")), found("b", inode=ord("a")), found("c"), found("d")]
    assert set(unchanged_files(two, KNOWN)) == {"c", "d"}


def test_a_network_disk_that_numbers_its_files_anew_is_trusted() -> None:
    files = [found(name, inode=1000 + ord(name)) for name in NAMES]
    renumbered = unchanged_files(files, KNOWN)
    assert {name: record.inode for name, record in renumbered.items()} == {
        name: 1000 + ord(name) for name in NAMES
    }
    assert {record.digest for record in renumbered.values()} == {r.digest for r in KNOWN.values()}
    # A single new file in a folder is one that took the place of another.
    assert set(unchanged_files([files[0], *map(found, "bcd")], KNOWN)) == {"b", "c", "d"}
    assert unchanged_files(files[:2], KNOWN) == {}


def test_new_numbers_are_kept_so_that_the_next_scan_agrees(tmp_path: Path) -> None:
    with (
        FileIndex(tmp_path / "index.sqlite") as index,
        BottleneckStore(tmp_path / "cache.sqlite", {"name": "x"}) as store,
    ):
        dataset = index.dataset_id(Path("/photos"))
        index.remember(dataset, [("cat", name, record) for name, record in KNOWN.items()])
        files = tuple(found(name, inode=1000 + ord(name)) for name in NAMES)
        folder = FoundFolder("cat", "cat", None, files)
        scan_folders([folder], index, dataset, store)
        assert unchanged_files(files, index.folder(dataset, "cat")).keys() == set(NAMES)
        assert index.folder(dataset, "cat")["a"].inode == 1000 + ord("a")
        # The cache is empty: all are to be read, none because it is doubted.
        assert scan_folders([folder], index, dataset, store).doubtful == 0
        rescan = scan_folders([folder], index, dataset, store, rescan=True)
        assert (len(rescan.pending), rescan.doubtful) == (4, 4)
