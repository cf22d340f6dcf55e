"""Where the photos of a dataset come from: the one seam between folders, buckets and lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import Protocol

from retrain_cli.datasets.folders import FoundFile, FoundFolder
from retrain_cli.datasets.layout import Layout, LayoutChoice
from retrain_cli.datasets.sources.bucket_source import BucketSource
from retrain_cli.datasets.sources.folder_source import FolderSource
from retrain_cli.datasets.sources.list_source import LIST_SUFFIXES, ListSource
from retrain_cli.datasets.sources.shard_source import ShardSource
from retrain_cli.errors import DatasetError
from retrain_cli.storage.urls import UrlPath


class PhotoSource(Protocol):
    """Lists the photos of a dataset and says where each of them is.

    Whatever it is, its photos have classes and names as if they lay in folders: the index knows
    each by folder and name, and by size and times whether it is still the same.
    """

    def layout(self, choice: LayoutChoice) -> Layout:
        """Which classes there are; raises DatasetError or StorageError where that is not told."""
        ...

    def folders(self, layout: Layout) -> Iterator[FoundFolder]:
        """Every folder that belongs to a class, with its files, in an order that never varies."""
        ...

    def loose_files(self, layout: Layout) -> int:
        """How many photos belong to no class."""
        ...

    def find(self, folder: str, name: str) -> FoundFile:
        """One file as `folders` would tell of it now; of size -1 where it is gone."""
        ...

    def locate(self, path: str) -> PurePath:
        """Where a photo is, for `images.photo_files`; `path` is `folder/name`."""
        ...


def source_of(root: PurePath, ignore: Collection[Path] = ()) -> PhotoSource:
    """What reads the photos at a root.

    Args:
        root: as of `LastUsed.image_dir`: a folder, absolute, or a URL; by its name a list, or the
            pattern of shards.
        ignore: what of a folder is no part of the dataset, such as the workspace.
    """
    if root.suffix.lower() in LIST_SUFFIXES and not _is_directory(root):
        return ListSource(root)
    if root.suffix.lower() == ".tar" and not _is_directory(root):
        if isinstance(root, UrlPath):
            raise DatasetError(
                f"shards are read from a disk, and {root} is in a bucket: fetch them, or put the "
                "photos there, in a folder a class"
            )
        return ShardSource(Path(root))
    if isinstance(root, UrlPath):
        return BucketSource(root)
    return FolderSource(Path(root), ignore)


def _is_directory(root: PurePath) -> bool:
    return isinstance(root, Path) and root.is_dir()


def is_folder(root: PurePath) -> bool:
    """Whether the photos at a root are files of its folder, which can be moved and linked to."""
    return isinstance(source_of(root), FolderSource)


def locate_photo(root: PurePath, path: str) -> PurePath:
    """Where a photo of the dataset at `root` is."""
    return source_of(root).locate(path)
