"""The index of photo files: (folder, name, size, mtime, ctime, inode) -> content digest.

It spares reading an unchanged file again, and it remembers each dataset file by file, so that
training needs no walk. File names are stored as bytes, for on most systems they are just that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath

from retrain_cli.database import (
    SCHEMA_VERSION,
    DatabaseFile,
    connect,
    open_or_read,
    translated_errors,
)
from retrain_cli.datasets.splits import Split

CREATE_INDEX_TABLES = """
CREATE TABLE datasets (id INTEGER PRIMARY KEY, root BLOB NOT NULL UNIQUE);
CREATE TABLE folders (
    dataset INTEGER NOT NULL REFERENCES datasets (id),
    folder BLOB NOT NULL,   -- relative to the dataset's root
    class BLOB NOT NULL,
    given_split TEXT,       -- NULL where the folder tree gives none
    PRIMARY KEY (dataset, folder)
) WITHOUT ROWID;
CREATE TABLE files (
    dataset INTEGER NOT NULL REFERENCES datasets (id),
    folder BLOB NOT NULL,   -- relative to the dataset's root
    name BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    digest BLOB,            -- BLAKE2b-128 of the content; NULL where there is no image
    problem TEXT,           -- why it cannot be used; NULL where it can
    ctime_ns INTEGER,       -- NULL where the file has to be read again to be sure of it
    inode INTEGER,
    PRIMARY KEY (dataset, folder, name)
) WITHOUT ROWID
"""
_UPGRADES = (
    (
        "ALTER TABLE files ADD COLUMN ctime_ns INTEGER",
        "ALTER TABLE files ADD COLUMN inode INTEGER",
    ),
)

INDEX_VERSION = SCHEMA_VERSION + len(_UPGRADES)


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What is known of one file.

    Attributes:
        size: bytes.
        mtime_ns: time of the last change, nanoseconds.
        digest: 16 bytes of BLAKE2b of the content, or None where the file holds no image.
        problem: why the file cannot be used as an image, or None.
        ctime_ns: time of the last change of anything of it, nanoseconds; None where the file has
            to be read again: it had changed just before, or an older version did not keep it.
        inode: its number in its file system; None as before.
    """

    size: int
    mtime_ns: int
    digest: bytes | None
    problem: str | None = None
    ctime_ns: int | None = None
    inode: int | None = None


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """What one folder means: the class of its files, and their split where the tree gives it."""

    class_name: str
    given_split: Split | None


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """One file of a dataset, as remembered."""

    folder: str
    name: str
    digest: bytes | None
    problem: str | None


class FileIndex(DatabaseFile):
    """Reads and writes the index of one workspace."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(
            path, connect(path, CREATE_INDEX_TABLES, read_only=read_only, upgrades=_UPGRADES)
        )
        self._read_only = read_only

    @classmethod
    def to_read(cls, path: Path) -> FileIndex:
        """Open it without writing where that cannot be, as on a full or read-only disk."""
        return open_or_read(path, lambda read_only: cls(path, read_only=read_only))

    def dataset_id(self, root: PurePath) -> int:
        """The number of the dataset at `root`, made where it is new; then 0 if opened to read."""
        key = os.fsencode(root)
        with translated_errors(self.path), self._connection as connection:
            sql = "SELECT id FROM datasets WHERE root = ?"
            found = connection.execute(sql, (key,)).fetchone()
            if found is None and not self._read_only:
                connection.execute("INSERT OR IGNORE INTO datasets (root) VALUES (?)", (key,))
                found = connection.execute(sql, (key,)).fetchone()
            return int(found[0]) if found else 0

    def folder(self, dataset: int, folder: str) -> dict[str, FileRecord]:
        """What is known of the files of one folder, by name."""
        sql = """SELECT name, size, mtime_ns, digest, problem, ctime_ns, inode FROM files
                 WHERE dataset = ? AND folder = ?"""
        with translated_errors(self.path):
            rows = self._connection.execute(sql, (dataset, os.fsencode(folder)))
            return {os.fsdecode(name): FileRecord(*rest) for name, *rest in rows}

    def remember(self, dataset: int, records: Iterable[tuple[str, str, FileRecord]]) -> None:
        """Add or replace records, given as (folder, name, record), in one transaction."""
        rows = [
            (
                dataset,
                os.fsencode(folder),
                os.fsencode(name),
                r.size,
                r.mtime_ns,
                r.digest,
                r.problem,
                r.ctime_ns,
                r.inode,
            )
            for folder, name, r in records
        ]
        if not rows:
            return
        with translated_errors(self.path), self._connection as connection:
            connection.executemany("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def forget(self, dataset: int, folder: str, names: Iterable[str]) -> None:
        """Drop files of a folder that are no longer there."""
        rows = [(dataset, os.fsencode(folder), os.fsencode(name)) for name in names]
        sql = "DELETE FROM files WHERE dataset = ? AND folder = ? AND name = ?"
        with translated_errors(self.path), self._connection as connection:
            connection.executemany(sql, rows)

    def folders(self, dataset: int) -> dict[str, FolderRecord]:
        """The folders that are known of a dataset, by path."""
        sql = "SELECT folder, class, given_split FROM folders WHERE dataset = ?"
        with translated_errors(self.path):
            return {
                os.fsdecode(folder): FolderRecord(os.fsdecode(class_name), split)
                for folder, class_name, split in self._connection.execute(sql, (dataset,))
            }

    def replace_folders(self, dataset: int, folders: Mapping[str, FolderRecord]) -> None:
        """Remember these folders and no others; files of folders that are gone go with them."""
        known = self.folders(dataset)
        changed = [
            (dataset, os.fsencode(path), os.fsencode(record.class_name), record.given_split)
            for path, record in folders.items()
            if known.get(path) != record
        ]
        gone = [(dataset, os.fsencode(path)) for path in known.keys() - folders.keys()]
        with translated_errors(self.path), self._connection as connection:
            connection.executemany("INSERT OR REPLACE INTO folders VALUES (?,?,?,?)", changed)
            for table in ("folders", "files"):
                sql = f"DELETE FROM {table} WHERE dataset = ? AND folder = ?"
                connection.executemany(sql, gone)

    def files(self, dataset: int) -> Iterator[IndexedFile]:
        """All files of a dataset, sorted by folder and name."""
        sql = """SELECT folder, name, digest, problem FROM files
                 WHERE dataset = ? ORDER BY folder, name"""
        with translated_errors(self.path):
            for folder, name, digest, problem in self._connection.execute(sql, (dataset,)):
                yield IndexedFile(os.fsdecode(folder), os.fsdecode(name), digest, problem)

    def verify(self) -> list[str]:
        """What SQLite finds wrong with the file; empty where all is well."""
        with translated_errors(self.path):
            rows = self._connection.execute("PRAGMA integrity_check")
            return [str(text) for (text,) in rows if text != "ok"]

    def known_digests(self) -> set[bytes]:
        """Digests of every image of every dataset that was seen in this workspace."""
        sql = "SELECT DISTINCT digest FROM files WHERE digest IS NOT NULL"
        with translated_errors(self.path):
            return {row[0] for row in self._connection.execute(sql)}


def known_classes(path: Path, root: PurePath) -> list[str]:
    """The names of the classes of a dataset, sorted; none where it is not known.

    Args:
        path: the index; it is only read.
        root: the image folder, absolute.

    Raises:
        CacheError: the index is not there, or damaged.
    """
    sql = (
        "SELECT DISTINCT class FROM folders JOIN datasets ON id = dataset "
        "WHERE root = ? AND class != ''"
    )
    with (
        translated_errors(path),
        closing(
            connect(path, CREATE_INDEX_TABLES, read_only=True, upgrades=_UPGRADES)
        ) as connection,
    ):
        rows = connection.execute(sql, (os.fsencode(root),)).fetchall()
    return sorted(os.fsdecode(name) for (name,) in rows)
