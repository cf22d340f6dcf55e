"""Compare an image folder with what is known of it: what is cached, what has to be looked into."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex, FileRecord, FolderRecord
from retrain_cli.datasets.folders import FoundFile, FoundFolder
from retrain_cli.datasets.sources.photo_source import PhotoSource
from retrain_cli.images.examine import Examined
from retrain_cli.images.formats import looks_like_image_name


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file to look into.

    Attributes:
        folder: relative to the dataset's root.
        name: its name in there.
        size: bytes.
        mtime_ns: time of the last change, nanoseconds.
        was_bad: it looks as it did when it was found to be no good.
        ctime_ns: as of `FoundFile`.
        inode: as of `FoundFile`.
    """

    folder: str
    name: str
    size: int
    mtime_ns: int
    was_bad: bool = False
    ctime_ns: int | None = None
    inode: int | None = None

    @property
    def relative(self) -> str:
        """Its path relative to the dataset's root, as users are told it."""
        return f"{self.folder}/{self.name}"

    def learnt(self, seen: Examined) -> Record:
        """What the index is to remember of it."""
        record = FileRecord(
            self.size, self.mtime_ns, seen.digest, seen.problem, self.ctime_ns, self.inode
        )
        return (self.folder, self.name, record)


Record = tuple[str, str, FileRecord]
"""Folder, name and what was learnt of a file."""

_FEWEST_RENUMBERED: Final = 3
"""Photos of a folder from which on new inodes of all of them are the file system's doing."""


@dataclass
class Scan:
    """What a walk found.

    Attributes:
        cached: images that did not change and whose bottleneck is cached.
        pending: files to read: new or changed ones, ones without a bottleneck, and bad ones, which
            may have been repaired or become readable.
        doubtful: those of `pending` that have the size and time of what is known of them, and yet
            may have changed: for most of them reading is all there is to do.
    """

    cached: int = 0
    pending: list[PendingFile] = field(default_factory=list)
    doubtful: int = 0


def scan_folders(
    found: Iterable[FoundFolder],
    index: FileIndex,
    dataset: int,
    store: BottleneckStore,
    *,
    rescan: bool = False,
) -> Scan:
    """Compare a walk with the index, without reading a file; what is gone is forgotten.

    Args:
        found: the walk.
        index: what is known.
        dataset: number of the dataset in it.
        store: the cache.
        rescan: trust nothing of the index; every file is to be read.

    Raises:
        DatasetError: the walk comes upon a folder that cannot be read.
    """
    scan = Scan()
    folders: dict[str, FolderRecord] = {}
    for folder in found:
        folders[folder.path] = FolderRecord(folder.class_name, folder.given_split)
        known = index.folder(dataset, folder.path)
        gone = known.keys() - {file.name for file in folder.files}
        if gone:
            index.forget(dataset, folder.path, gone)
        unchanged = {} if rescan else unchanged_files(folder.files, known)
        moved = {name: record for name, record in unchanged.items() if record != known[name]}
        index.remember(dataset, [(folder.path, name, record) for name, record in moved.items()])
        _scan_folder(folder, known, unchanged, store, scan)
    index.replace_folders(dataset, folders)
    return scan


def _scan_folder(
    folder: FoundFolder,
    known: Mapping[str, FileRecord],
    unchanged: Mapping[str, FileRecord],
    store: BottleneckStore,
    scan: Scan,
) -> None:
    cached = store.present({r.digest for r in unchanged.values() if r.digest is not None})
    for file in folder.files:
        record = unchanged.get(file.name)
        if record is not None and is_passed_over(record, file.name):
            continue
        if record is not None and record.digest in cached and record.problem is None:
            scan.cached += 1
            continue
        before = known.get(file.name)
        looks_unchanged = before is not None and _looks_unchanged(file, before)
        was_bad = looks_unchanged and before is not None and before.problem is not None
        scan.doubtful += record is None and looks_unchanged
        scan.pending.append(
            PendingFile(
                folder.path,
                file.name,
                file.size,
                file.mtime_ns,
                was_bad,
                file.ctime_ns,
                file.inode,
            )
        )


def is_passed_over(record: FileRecord, name: str) -> bool:
    """Whether a file was found to be no image, and is not meant as one either.

    One with an image's name was looked at by an earlier version, which did not know its format.
    """
    is_no_image = record.digest is None and record.problem is None
    return is_no_image and not looks_like_image_name(name)


def unchanged_files(
    files: Iterable[FoundFile], known: Mapping[str, FileRecord]
) -> dict[str, FileRecord]:
    """What is known of the files of a folder that did not change, by name.

    Size and time are not enough, for tools that mend a photo in place keep both. A change of
    content, name or owner gives a file a new ctime, which nobody can set back; another file in its
    place has another inode. A file that only looks changed costs being read: its bottleneck is
    found by its content.

    Some network disks number their files anew with every mount. Where all files of a folder have
    numbers that none of them had before, and all else agrees, it is taken for that.
    """
    alike = [
        file
        for file in files
        if (record := known.get(file.name)) is not None
        and _looks_unchanged(file, record)
        and record.ctime_ns is not None
        and record.ctime_ns == file.ctime_ns
    ]
    if _are_renumbered(alike, known):
        return {file.name: replace(known[file.name], inode=file.inode) for file in alike}
    return {file.name: known[file.name] for file in alike if known[file.name].inode == file.inode}


def count_changed(source: PhotoSource, index: FileIndex, dataset: int) -> int:
    """Photos of a dataset that are gone, or changed for sure since they were read; none is opened.

    Args:
        source: where its photos come from.
        index: what is known.
        dataset: number of the dataset in it.
    """
    changed = 0
    for path in index.folders(dataset):
        records = index.folder(dataset, path).items()
        known = {name: record for name, record in records if record.digest is not None}
        files = [source.find(path, name) for name in known]
        unchanged = unchanged_files(files, known)
        changed += sum(
            not _looks_unchanged(file, known[file.name]) or known[file.name].ctime_ns is not None
            for file in files
            if file.name not in unchanged
        )
    return changed


def _looks_unchanged(file: FoundFile, record: FileRecord) -> bool:
    """Whether a file has the size and time that are remembered of it."""
    return (record.size, record.mtime_ns) == (file.size, file.mtime_ns)


def _are_renumbered(alike: list[FoundFile], known: Mapping[str, FileRecord]) -> bool:
    """Whether all inodes are new: not one stayed, and they are no exchange among the files."""
    before = {known[file.name].inode for file in alike}
    now = {file.inode for file in alike}
    return (
        len(alike) >= _FEWEST_RENUMBERED
        and before != now
        and all(known[file.name].inode != file.inode for file in alike)
    )
