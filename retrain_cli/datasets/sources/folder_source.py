"""Photos in folders of a disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from retrain_cli.datasets.folders import (
    FoundFile,
    FoundFolder,
    find_file,
    loose_files,
    walk_folders,
)
from retrain_cli.datasets.layout import Layout, LayoutChoice, read_layout


@dataclass(frozen=True)
class FolderSource:
    """A folder with a sub-folder a class; see `PhotoSource`.

    Attributes:
        root: the folder, absolute.
        ignore: what in it is no part of the dataset, such as the workspace.
    """

    root: Path
    ignore: Collection[Path] = ()

    def layout(self, choice: LayoutChoice) -> Layout:
        """See `PhotoSource`."""
        return read_layout(self.root, self.ignore, choice)

    def folders(self, layout: Layout) -> Iterator[FoundFolder]:
        """See `PhotoSource`."""
        return walk_folders(self.root, self.ignore, layout)

    def loose_files(self, layout: Layout) -> int:
        """See `PhotoSource`."""
        return loose_files(layout, self.ignore)

    def find(self, folder: str, name: str) -> FoundFile:
        """See `PhotoSource`."""
        return find_file(self.root / folder, name)

    def locate(self, path: str) -> Path:
        """See `PhotoSource`."""
        return self.root / path
