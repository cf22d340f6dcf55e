"""Where the photos of a dataset come from: the one seam between folders, buckets and lists."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path, PurePath
from typing import Protocol

from retrain_cli.datasets.folders import FoundFile, FoundFolder
from retrain_cli.datasets.layout import Layout, LayoutChoice
from retrain_cli.datasets.sources.bucket_source import BucketSource
from retrain_cli.datasets.sources.folder_source import FolderSource
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
        root: as of `LastUsed.image_dir`: a folder, absolute, or a URL.
        ignore: what of a folder is no part of the dataset, such as the workspace.
    """
    if isinstance(root, UrlPath):
        return BucketSource(root)
    return FolderSource(Path(root), ignore)


def locate_photo(root: PurePath, path: str) -> PurePath:
    """Where a photo of the dataset at `root` is."""
    return source_of(root).locate(path)
