"""The dataset walk: one sub-folder per class, read as a stream, in an order that never varies.

Paths below the root are `/`-separated strings. File names that are no valid Unicode come as
Python's surrogate escapes, so that `root / path / name` opens every file.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retrain_cli.datasets.entries import (
    Entry,
    FileId,
    entries_of,
    ids_above,
    ids_of,
    is_image,
    look_at,
    may_be_photo,
)
from retrain_cli.datasets.layout import ClassFolder, Layout, read_layout
from retrain_cli.datasets.splits import Split
from retrain_cli.errors import DatasetError
from retrain_cli.images.formats import looks_like_image_name

_GONE = (FileNotFoundError, NotADirectoryError)
"""What becomes of a folder that is removed, or replaced by a file, while we walk."""

_CLOCK_TICK_NS: Final = 2_000_000_000
"""The coarsest clock of a file system in use (FAT): two changes within it may bear one time."""
_CLOCK_SKEW_NS: Final = 3_600_000_000_000
"""How far the clock of a file server may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a class folder, an image or not.

    Numbers are folded into 64 signed bits, as SQLite keeps them: they are compared for equality
    alone, and a time of the year 2446 or the inode of a file server may be larger.

    Attributes:
        name: its name within the folder.
        size: bytes; -1 where the file cannot be looked at, such as a broken link.
        mtime_ns: time of the last change of its content, nanoseconds since 1970; tools can set it.
        ctime_ns: time of the last change of anything; no tool sets it. None where the file changed
            so shortly ago that another change could bear the same time.
        inode: number of the file in its file system.
    """

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int | None = None
    inode: int | None = None


@dataclass(frozen=True, slots=True)
class FoundFolder:
    """A folder that belongs to a class, with the files directly in it.

    Attributes:
        path: relative to the dataset's root, such as `train/cat/more`.
        class_name: the class, `cat`, as its folder is called.
        given_split: the split that the first level gives, or None.
        files: in order of their names; empty for a folder without files.
    """

    path: str
    class_name: str
    given_split: Split | None
    files: tuple[FoundFile, ...]


def walk_folders(
    root: Path, ignore: Collection[Path] = (), layout: Layout | None = None
) -> Iterator[FoundFolder]:
    """Walk a dataset one folder at a time; memory holds one folder's files.

    Hidden names, what operating systems leave behind and the `ignore` paths are passed over. Links
    are followed, but never upwards, and no folder is visited twice for one class folder: a folder
    by its own path rather than through a link. A folder that goes while we walk is as one that
    went before.

    Args:
        root: the dataset's folder.
        ignore: files or folders that are no part of it, such as the workspace.
        layout: what its folders mean, where that was read already.

    Returns:
        An iterator over every folder that belongs to a class, sorted by name, parents before
        children, and linked folders last in their class folder.

    Raises:
        DatasetError: at once: as `read_layout`; while iterating: a folder cannot be read.
    """
    known = layout or read_layout(root, ignore)
    return _walk(root, known.folders, ids_of(ignore))


def _walk(
    root: Path, tops: Collection[ClassFolder], ignored: frozenset[FileId]
) -> Iterator[FoundFolder]:
    above = ids_above(root)
    for top in tops:
        outside = above | ids_of([(root / top.path).parent])
        for path, entries in _walk_below(root, top.path, ignored, outside):
            files = tuple(_found(entry) for entry in entries if entry.is_file)
            yield FoundFolder(path, top.class_name, top.given_split, files)


def _refuse(path: str, error: DatasetError) -> None:
    raise error


def _walk_below(
    root: Path,
    top: str,
    ignored: frozenset[FileId],
    outside: Collection[FileId],
    on_unreadable: Callable[[str, DatasetError], None] = _refuse,
) -> Iterator[tuple[str, list[Entry]]]:
    """Folders from `top` on with their entries, each real folder once, linked ones last."""
    seen = set(outside)
    stack, linked = [top], deque[str]()
    while stack or linked:
        path = stack.pop() if stack else linked.popleft()
        own = look_at(root, path)
        if own.file_id in seen:
            continue
        if own.status is not None:
            seen.add(own.file_id)
        try:
            entries = entries_of(root / path, ignored)
        except DatasetError as error:
            if not isinstance(error.__cause__, _GONE):
                on_unreadable(path, error)
            continue
        below = [entry for entry in entries if entry.is_folder and entry.file_id not in seen]
        inner = [(f"{path}/{entry.name}".lstrip("/"), entry.is_link) for entry in below]
        stack += [name for name, is_link in reversed(inner) if not is_link]
        linked += [name for name, is_link in inner if is_link]
        yield path, entries


def find_file(folder: Path, name: str) -> FoundFile:
    """As the walk would find one file of a folder."""
    return _found(look_at(folder, name))


def _found(entry: Entry) -> FoundFile:
    """What the walk reports of a file."""
    status = entry.status
    if status is None:
        return FoundFile(entry.name, -1, 0)
    ctime = None if _changed_just_now(status) else _in_64_bits(status.st_ctime_ns)
    mtime, inode = _in_64_bits(status.st_mtime_ns), _in_64_bits(status.st_ino)
    return FoundFile(entry.name, status.st_size, mtime, ctime, inode)


def _changed_just_now(status: os.stat_result) -> bool:
    """Whether a file could change once more, and bear the same times as now.

    A time further ahead than clocks differ is one that somebody set: the next change is told from
    it by its time. Nobody can set a ctime, so that one is never trusted while it is ahead.
    """
    now = time.time_ns()
    recent = now - _CLOCK_TICK_NS
    return status.st_ctime_ns >= recent or recent <= status.st_mtime_ns <= now + _CLOCK_SKEW_NS


def _in_64_bits(number: int) -> int:
    """A number that SQLite can keep; equal ones stay equal."""
    return (number + 2**63) % 2**64 - 2**63


def images_below(folder: Path, ignore: Collection[Path] = ()) -> Iterator[Path]:
    """Files of a folder and its sub-folders that are images, or named like one; as they come.

    The walk is that of a dataset: it passes over the same names and follows the same links. A
    sub-folder that cannot be read comes as if it were an image, so that the reader tells of it.
    """
    unreadable: list[str] = []
    walk = _walk_below(
        folder,
        "",
        ids_of(ignore),
        ids_above(folder) - ids_of([folder]),
        lambda path, _: unreadable.append(path),
    )
    for path, entries in walk:
        for entry in entries:
            full = folder / path / entry.name
            if entry.is_file and (looks_like_image_name(entry.name) or is_image(full)):
                yield full
    yield from (folder / path for path in unreadable)


def list_classes(root: Path, ignore: Collection[Path] = ()) -> list[str]:
    """Class names of a dataset in order, without walking it.

    Raises:
        DatasetError: as `read_layout`.
    """
    return read_layout(root, ignore).class_names


def empty_classes(layout: Layout, folders: Iterable[FoundFolder]) -> list[str]:
    """Classes without a file that may hold a photo, in order."""
    full = {
        folder.class_name
        for folder in folders
        if any(may_be_photo(file.name) for file in folder.files)
    }
    return [name for name in layout.class_names if name not in full]


def loose_files(layout: Layout, ignore: Collection[Path] = ()) -> int:
    """Count the files with an image's name that lie above the class folders, so belong to none."""
    ignored = ids_of(ignore)
    above = (Path(layout.root, path) for path in layout.above)
    entries = (entry for folder in above for entry in entries_of(folder, ignored))
    return sum(entry.is_file and looks_like_image_name(entry.name) for entry in entries)
