"""Photos in a bucket: the keys with a `/` in them are its folders, and it is listed once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from retrain_cli.datasets.folders import FoundFile, FoundFolder
from retrain_cli.datasets.layout import Layout, LayoutChoice, layout_of
from retrain_cli.datasets.sources.trees import ListedTree
from retrain_cli.images.formats import looks_like_image_name
from retrain_cli.storage.buckets import FoundObject, open_store
from retrain_cli.storage.urls import UrlPath

_TICK_NS: Final = 60_000_000_000
"""A listing tells the second in which an object was written, by a clock that may differ from ours:
one that was written within the last minute may be written once more and look the same."""


def found_object(name: str, found: FoundObject | None) -> FoundFile:
    """An object, None for one that is gone, as a walk would tell of a file of this name."""
    if found is None:
        return FoundFile(name, -1, 0)
    settled = found.mtime_ns < time.time_ns() - _TICK_NS
    return FoundFile(name, found.size, found.mtime_ns, found.mtime_ns if settled else None)


@dataclass(frozen=True)
class BucketSource:
    """Keys such as `photos/daisy/1.jpg`; see `PhotoSource`.

    pyarrow's listing tells size and time of each object, but not its ETag. The time is the
    server's, and nobody can set it: it stands for both mtime and ctime.

    Attributes:
        root: what is listed, such as `s3://bucket/photos`.
    """

    root: UrlPath

    def layout(self, choice: LayoutChoice) -> Layout:
        """See `PhotoSource`."""
        found = layout_of(self._tree, choice)
        odd = len(self._listed) - len(self._objects)
        told = (f"{odd} key(s) with an empty part, such as a//b.jpg, left out: rename them",)
        return replace(found, warnings=found.warnings + told) if odd else found

    def folders(self, layout: Layout) -> Iterator[FoundFolder]:
        """See `PhotoSource`."""
        for top in layout.folders:
            for path in self._tree.below(top.path):
                files = tuple(self.find(path, name) for name in self._tree.contents(path).files)
                yield FoundFolder(path, top.class_name, top.given_split, files)

    def loose_files(self, layout: Layout) -> int:
        """See `PhotoSource`."""
        above = (self._tree.contents(path).files for path in layout.above)
        return sum(looks_like_image_name(name) for names in above for name in names)

    def find(self, folder: str, name: str) -> FoundFile:
        """See `PhotoSource`."""
        return found_object(name, self._objects.get(f"{folder}/{name}"))

    def locate(self, path: str) -> UrlPath:
        """See `PhotoSource`."""
        return self.root / path

    @cached_property
    def _listed(self) -> list[FoundObject]:
        return open_store(self.root).list_below(self.root)

    @cached_property
    def _objects(self) -> dict[str, FoundObject]:
        """Those that pyarrow can open, by their paths."""
        return {one.path: one for one in self._listed if "//" not in f"/{one.path}"}

    @cached_property
    def _tree(self) -> ListedTree:
        return ListedTree.of(self.root, self._objects)
