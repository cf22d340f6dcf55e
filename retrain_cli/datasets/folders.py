"""The dataset walk: one sub-folder per class, read as a stream, in an order that never varies.

Paths below the root are `/`-separated strings. File names that are no valid Unicode come as
Python's surrogate escapes, so that `root / path / name` opens every file.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from retrain_cli.datasets.splits import Split
from retrain_cli.errors import DatasetError
from retrain_cli.images.formats import looks_like_image_name

Layout = Literal["classes", "splits"]
"""What the first level of a dataset is: its classes, or given splits with the classes below."""

_SPLIT_FOLDERS: Final[dict[str, Split]] = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
_SYSTEM_NAMES: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})
_GONE = (FileNotFoundError, NotADirectoryError)
"""What becomes of a folder that is removed, or replaced by a file, while we walk."""

_FileId = tuple[int, int]
_NO_IDS: Final[frozenset[_FileId]] = frozenset()


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a class folder, an image or not.

    Attributes:
        name: its name within the folder.
        size: bytes; -1 where the file cannot be looked at, such as a broken link.
        mtime_ns: time of last change, nanoseconds since 1970.
    """

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """A folder that belongs to a class, with the files directly in it.

    Attributes:
        path: relative to the dataset's root, such as `train/cat/more`.
        class_name: the class, `cat`, exactly as the folder is called.
        given_split: the split that the first level gives, or None.
        files: in order of their names; empty for a folder without files.
    """

    path: str
    class_name: str
    given_split: Split | None
    files: tuple[FoundFile, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name in a folder, links followed; `status` is None where it cannot be looked at."""

    name: str
    status: os.stat_result | None

    @property
    def is_folder(self) -> bool:
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """A regular file, or what should be an image and cannot be looked at: reported as bad."""
        if self.status is None:
            return looks_like_image_name(self.name)
        return stat.S_ISREG(self.status.st_mode)

    @property
    def file_id(self) -> _FileId:
        return (self.status.st_dev, self.status.st_ino) if self.status else (-1, -1)


def walk_folders(root: Path, ignore: Collection[Path] = ()) -> Iterator[FoundFolder]:
    """Walk a dataset one folder at a time, sorted by name; memory holds one folder's files.

    Hidden names, what operating systems leave behind and the `ignore` paths are passed over. Links
    are followed; a link to a folder that we are in already is not. A folder that goes while we walk
    is as one that went before.

    Args:
        root: the dataset's folder.
        ignore: files or folders that are no part of it, such as the workspace.

    Returns:
        An iterator over every folder that belongs to a class, parents before children.

    Raises:
        DatasetError: at once: the root is missing, no folder, unreadable, or has no class folder;
            while iterating: a folder below it cannot be read.
    """
    ignored = _ids_of(ignore)
    layout = detect_layout(root, ignore)
    tops = _class_folders(root, layout, ignored)
    return _walk(root, tops, layout, ignored)


def detect_layout(root: Path, ignore: Collection[Path] = ()) -> Layout:
    """Tell whether the first level holds classes or given splits (`train`, `val`, `test`).

    It holds splits where every folder there has such a name, in any case, and `train` is there.

    Raises:
        DatasetError: the root is missing, no folder or unreadable.
    """
    names = [entry.name.casefold() for entry in _scan(root, _ids_of(ignore)) if entry.is_folder]
    splits = {_SPLIT_FOLDERS.get(name) for name in names}
    return "splits" if None not in splits and "training" in splits else "classes"


def class_of(folder_path: str, layout: Layout) -> tuple[str, Split | None]:
    """Class and given split of a folder by its path relative to the root, such as `train/cat/more`.

    Raises:
        DatasetError: the path lies above the class folders.
    """
    parts = folder_path.split("/")
    if layout == "classes" and parts[0]:
        return parts[0], None
    if len(parts) > 1 and parts[0].casefold() in _SPLIT_FOLDERS:
        return parts[1], _SPLIT_FOLDERS[parts[0].casefold()]
    raise DatasetError(f"an image must lie in the folder of its class; {folder_path!r} is none")


def list_classes(root: Path, ignore: Collection[Path] = ()) -> list[str]:
    """Class names of a dataset in order, without walking it.

    Raises:
        DatasetError: as `walk_folders`.
    """
    layout = detect_layout(root, ignore)
    tops = _class_folders(root, layout, _ids_of(ignore))
    return sorted({class_of(path, layout)[0] for path in tops})


def loose_files(root: Path, ignore: Collection[Path] = ()) -> int:
    """Count the files with an image's name that lie above the class folders, so belong to none."""
    ignored = _ids_of(ignore)
    folders = [root]
    if detect_layout(root, ignore) == "splits":
        folders += [root / entry.name for entry in _scan(root, ignored) if entry.is_folder]
    entries = (entry for folder in folders for entry in _scan(folder, ignored))
    return sum(entry.is_file and looks_like_image_name(entry.name) for entry in entries)


def check_class_names(names: Iterable[str]) -> None:
    """Refuse a dataset of one class, or of classes that differ in case or Unicode form only.

    Raises:
        DatasetError: naming the classes.
    """
    known: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        if folded in known:
            raise DatasetError(
                "class names must differ in more than case; received the folders "
                f"{known[folded]!r} and {name!r}: rename or join them"
            )
        known[folded] = name
    if len(known) < 2:
        raise DatasetError(
            f"a classifier needs at least 2 classes; received {list(known.values())}: "
            "put the photos of each class into a sub-folder of its own"
        )


def _walk(
    root: Path, tops: list[str], layout: Layout, ignored: frozenset[_FileId]
) -> Iterator[FoundFolder]:
    """Depth-first walk with its own stack: (path, ids of the folders that it lies in)."""
    stack = [(path, _NO_IDS) for path in reversed(tops)]
    while stack:
        path, above = stack.pop()
        try:
            own = _stat(root / path)
            entries = _scan(root / path, ignored)
        except DatasetError as error:
            if isinstance(error.__cause__, _GONE):
                continue
            raise
        inside = above | {(own.st_dev, own.st_ino)}
        below = [entry.name for entry in entries if entry.is_folder and entry.file_id not in inside]
        stack += [(f"{path}/{name}", inside) for name in reversed(below)]
        class_name, split = class_of(path, layout)
        files = tuple(_found(entry) for entry in entries if entry.is_file)
        yield FoundFolder(path, class_name, split, files)


def _found(entry: _Entry) -> FoundFile:
    """What the walk reports of a file."""
    if entry.status is None:
        return FoundFile(entry.name, -1, 0)
    return FoundFile(entry.name, entry.status.st_size, entry.status.st_mtime_ns)


def _class_folders(root: Path, layout: Layout, ignored: frozenset[_FileId]) -> list[str]:
    """Relative paths of the class folders, sorted."""
    tops = [entry.name for entry in _scan(root, ignored) if entry.is_folder]
    if layout == "splits":
        tops = [
            f"{top}/{entry.name}"
            for top in tops
            for entry in _scan(root / top, ignored)
            if entry.is_folder
        ]
    if not tops:
        raise DatasetError(_no_classes(root, ignored))
    return tops


def _no_classes(root: Path, ignored: frozenset[_FileId]) -> str:
    """Message for a root without class folders, with the photos that lie in it directly, if any."""
    n_loose = sum(looks_like_image_name(entry.name) for entry in _scan(root, ignored))
    received = f"{n_loose} photos directly in it" if n_loose else "no sub-folder"
    return (
        f"photos must be in one sub-folder per class; received {root} with {received}: "
        "make a sub-folder for each class and move its photos there"
    )


def _scan(folder: Path, ignored: frozenset[_FileId]) -> list[_Entry]:
    """Entries of a folder that are part of the dataset, sorted by name.

    Raises:
        DatasetError: it is missing, no folder, or unreadable.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if not _is_hidden(name))  # noqa: PTH208
    except OSError as error:
        raise _unreadable(folder, error) from error
    entries = (_look_at(folder, name) for name in names)
    return [entry for entry in entries if entry.file_id not in ignored]


def _look_at(folder: Path, name: str) -> _Entry:
    """Stat one entry through its links; broken and circular links have no status."""
    try:
        return _Entry(name, os.stat(os.path.join(folder, name)))  # noqa: PTH116, PTH118 - speed
    except (OSError, ValueError):
        return _Entry(name, None)


def _is_hidden(name: str) -> bool:
    """Names that are never part of a dataset."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def _stat(folder: Path) -> os.stat_result:
    """Stat a folder that may have gone since it was listed."""
    try:
        return folder.stat()
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: OSError) -> DatasetError:
    """The error for a folder that cannot be listed."""
    reason = (error.strerror or str(error)).lower()
    return DatasetError(
        f"the image folder must be a folder that can be read; received {folder} ({reason}): "
        "check the path and its permissions"
    )


def _ids_of(paths: Collection[Path]) -> frozenset[_FileId]:
    """Device and inode of each path that exists; they hold however the path is written."""
    statuses = (_look_at(path.parent, path.name) for path in paths)
    return frozenset(entry.file_id for entry in statuses if entry.status)
