"""Compare an image folder with what is known of it: what is cached, what has to be looked into."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex, FileRecord, FolderRecord
from retrain_cli.datasets.folders import FoundFile, FoundFolder
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
        was_bad: it did not change since it was found to be no good.
    """

    folder: str
    name: str
    size: int
    mtime_ns: int
    was_bad: bool = False

    def path(self, root: Path) -> Path:
        """Where it lies."""
        return root / self.folder / self.name

    @property
    def relative(self) -> str:
        """Its path relative to the dataset's root, as users are told it."""
        return f"{self.folder}/{self.name}"

    def learnt(self, seen: Examined) -> Record:
        """What the index is to remember of it."""
        return (
            self.folder,
            self.name,
            FileRecord(self.size, self.mtime_ns, seen.digest, seen.problem),
        )


Record = tuple[str, str, FileRecord]
"""Folder, name and what was learnt of a file."""


@dataclass
class Scan:
    """What a walk found.

    Attributes:
        cached: images that did not change and whose bottleneck is cached.
        pending: files to read: new or changed ones, ones without a bottleneck, and bad ones, which
            may have been repaired or become readable.
    """

    cached: int = 0
    pending: list[PendingFile] = field(default_factory=list)


def scan_folders(
    found: Iterable[FoundFolder], index: FileIndex, dataset: int, store: BottleneckStore
) -> Scan:
    """Compare a walk with the index, without reading a file; what is gone is forgotten.

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
        _scan_folder(folder, known, store, scan)
    index.replace_folders(dataset, folders)
    return scan


def _scan_folder(
    folder: FoundFolder, known: dict[str, FileRecord], store: BottleneckStore, scan: Scan
) -> None:
    unchanged = {f.name: known[f.name] for f in folder.files if is_unchanged(f, known)}
    cached = store.present({r.digest for r in unchanged.values() if r.digest is not None})
    for file in folder.files:
        record = unchanged.get(file.name)
        if record is not None and is_passed_over(record, file.name):
            continue
        if record is not None and record.digest in cached and record.problem is None:
            scan.cached += 1
        else:
            was_bad = record is not None and record.problem is not None
            scan.pending.append(
                PendingFile(folder.path, file.name, file.size, file.mtime_ns, was_bad)
            )


def is_passed_over(record: FileRecord, name: str) -> bool:
    """Whether a file was found to be no image, and is not meant as one either.

    One with an image's name was looked at by an earlier version, which did not know its format.
    """
    is_no_image = record.digest is None and record.problem is None
    return is_no_image and not looks_like_image_name(name)


def is_unchanged(file: FoundFile, known: dict[str, FileRecord]) -> bool:
    """Whether a file has the size and time that are remembered of it."""
    record = known.get(file.name)
    return record is not None and (record.size, record.mtime_ns) == (file.size, file.mtime_ns)
