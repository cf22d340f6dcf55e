"""What lies in one folder, as far as it can be part of a dataset; nobody else lists folders."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath
from typing import Final

from retrain_cli.errors import DatasetError
from retrain_cli.images.formats import HEAD_BYTES, looks_like_image_name, sniff_format

FileId = tuple[int, int]
"""Device and inode of a file or folder: the same however its path is written."""

# Of Windows, macOS, Linux, Synology, QNAP, NetApp and Android; names with a dot are hidden anyway.
# fmt: off
_SYSTEM_NAMES: Final = frozenset({
    "__macosx", "network trash folder", "temporary items", "icon\r",
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini",
    "$recycle.bin", "recycler", "system volume information", "$extend", "config.msi", "msocache",
    "lost+found", "lost.dir",
    "@eadir", "@tmp", "@recycle", "@recently-snapshot", "@sharebin", "@__thumb",
    "#recycle", "#snapshot", "~snapshot",
})
_NEVER_PHOTOS: Final = frozenset({
    ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".log",
    ".py", ".ipynb", ".npy", ".npz", ".mat", ".pkl", ".pt", ".h5", ".cache", ".db", ".sqlite",
    ".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".pdf", ".mp4", ".mov", ".avi",
})
# fmt: on
_MOST_SNIFFED: Final = 20
"""Files of a folder that are opened, where no name is that of an image."""
_MOST_NAMES: Final = 100_000
"""So much of a folder is searched for a photo before it is taken to hold one."""
_CHECKED_DISK = re.compile(r"found\.\d{3}")
"""Where Windows puts what it finds when it repairs a disk."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder, links followed.

    Attributes:
        name: its name.
        status: None where it cannot be looked at, such as a broken link.
        is_link: whether it is a symbolic link.
    """

    name: str
    status: os.stat_result | None
    is_link: bool = False

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, or a link to one."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """A regular file, or what should be an image and cannot be looked at: reported as bad."""
        if self.status is None:
            return looks_like_image_name(self.name)
        return stat.S_ISREG(self.status.st_mode)

    @property
    def file_id(self) -> FileId:
        """Its device and inode; of what cannot be looked at, those of nothing."""
        return (self.status.st_dev, self.status.st_ino) if self.status else (-1, -1)


def entries_of(folder: Path, ignored: Collection[FileId] = ()) -> list[Entry]:
    """Entries of a folder that can be part of a dataset, sorted by name.

    Hidden names and what operating systems leave behind are passed over, unseen.

    Raises:
        DatasetError: the folder is missing, no folder, or unreadable.
    """
    try:
        with os.scandir(folder) as found:
            listed = sorted(
                (one.name, one.is_symlink()) for one in found if not is_hidden(one.name)
            )
    except OSError as error:
        raise unreadable(folder, error) from error
    entries = (look_at(folder, name, is_link=is_link) for name, is_link in listed)
    return [entry for entry in entries if entry.file_id not in ignored]


def look_at(folder: Path, name: str, *, is_link: bool = False) -> Entry:
    """Look at one entry through its links; broken and circular links have no status."""
    try:
        status = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - speed
    except (OSError, ValueError, OverflowError):
        return Entry(name, None, is_link)
    return Entry(name, status, is_link)


def is_hidden(name: str) -> bool:
    """Names that are never part of a dataset."""
    folded = name.casefold()
    return (
        name.startswith(".")
        or folded in _SYSTEM_NAMES
        or _CHECKED_DISK.fullmatch(folded) is not None
    )


def may_be_photo(name: str) -> bool:
    """Whether a file of this name may hold a photo: its content alone tells for sure."""
    return looks_like_image_name(name) or PurePath(name).suffix.lower() not in _NEVER_PHOTOS


@dataclass(frozen=True, slots=True)
class Contents:
    """Names in a folder, sorted; files are not looked at.

    Attributes:
        files: names of what is no folder.
        folders: names of its folders, linked ones included.
    """

    files: tuple[str, ...]
    folders: tuple[str, ...]

    def count_photos(self, folder: Path) -> int:
        """How many of the files are photos, by their names; without such, by their content."""
        named = sum(looks_like_image_name(name) for name in self.files)
        others = (name for name in self.files if may_be_photo(name))
        return named or sum(is_image(folder / name) for name in islice(others, _MOST_SNIFFED))


def contents_of(folder: Path, ignored: Collection[FileId] = ()) -> Contents:
    """Names in a folder that can be part of a dataset.

    Raises:
        DatasetError: the folder is missing, no folder, or unreadable.
    """
    try:
        with os.scandir(folder) as found:
            listed = sorted((one.name, _is_folder(one)) for one in found if not is_hidden(one.name))
    except OSError as error:
        raise unreadable(folder, error) from error
    files = tuple(name for name, is_folder in listed if not is_folder)
    folders = (name for name, is_folder in listed if is_folder)
    if ignored:
        folders = (name for name in folders if look_at(folder, name).file_id not in ignored)
    return Contents(files, tuple(folders))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def holds_photos(folder: Path, ignored: Collection[FileId] = ()) -> bool:
    """Whether a photo lies in a folder, at any depth.

    A folder that cannot be read, or of very many other files, is said to hold one.
    """
    queue, seen, looked_at = [folder], set(ids_above(folder)), 0
    while queue:
        current = queue.pop()
        try:
            contents = contents_of(current, ignored)
        except DatasetError:
            return True  # the walk says what is wrong with it
        looked_at += len(contents.files) + len(contents.folders)
        if looked_at > _MOST_NAMES or contents.count_photos(current):
            return True
        for entry in (look_at(current, name) for name in contents.folders):
            if entry.is_folder and entry.file_id not in seen:
                seen.add(entry.file_id)
                queue.append(current / entry.name)
    return False


def is_image(path: Path) -> bool:
    """Whether a file's content is that of an image; one that cannot be read is none."""
    try:
        if not path.is_file():  # a pipe that nobody writes to would be waited for
            return False
        with path.open("rb") as file:
            return sniff_format(file.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def ids_of(paths: Collection[Path]) -> frozenset[FileId]:
    """Device and inode of each path that exists."""
    statuses = (look_at(path.parent, path.name) for path in paths)
    return frozenset(entry.file_id for entry in statuses if entry.status)


def ids_above(folder: Path) -> frozenset[FileId]:
    """Device and inode of a folder and of all that it lies in, by either of its paths."""
    real = Path(os.path.realpath(folder))
    return ids_of([folder, *folder.absolute().parents, *real.parents])


def unreadable(folder: Path, error: OSError) -> DatasetError:
    """The error for a folder that cannot be listed."""
    reason = (error.strerror or str(error)).lower()
    return DatasetError(
        f"the image folder must be a folder that can be read; received {folder} ({reason}): "
        "check the path and its permissions"
    )
