"""Folders as the reading of a layout sees them: those of a disk, and those that a listing tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Protocol

from retrain_cli.datasets.entries import (
    Contents,
    FileId,
    contents_of,
    holds_photos,
    is_hidden,
    may_be_photo,
)
from retrain_cli.images.formats import looks_like_image_name


class Tree(Protocol):
    """The folders below a root; paths in it are relative, `/`-separated, "" for the root."""

    @property
    def root(self) -> PurePath:
        """The folder itself."""
        ...

    def contents(self, path: str) -> Contents:
        """Names in a folder; raises DatasetError where it cannot be read."""
        ...

    def count_photos(self, path: str, contents: Contents) -> int:
        """How many files directly in a folder are photos."""
        ...

    def holds_photos(self, path: str) -> bool:
        """Whether a photo lies in it, at any depth."""
        ...


@dataclass(frozen=True)
class DiskTree:
    """Folders of a disk.

    Attributes:
        root: the folder.
        ignored: what is no part of it.
    """

    root: Path
    ignored: Collection[FileId] = ()

    def contents(self, path: str) -> Contents:
        """See `Tree`."""
        return contents_of(self.root / path, self.ignored)

    def count_photos(self, path: str, contents: Contents) -> int:
        """See `Tree`."""
        return contents.count_photos(self.root / path)

    def holds_photos(self, path: str) -> bool:
        """See `Tree`."""
        return holds_photos(self.root / path, self.ignored)


@dataclass
class ListedTree:
    """Folders that the names of files tell; a file's content is not looked into.

    Attributes:
        root: what was listed.
        files: names of the files of each folder, hidden ones left out.
        folders: names of the folders of each folder.
    """

    root: PurePath
    files: dict[str, list[str]] = field(default_factory=dict)
    folders: dict[str, dict[str, None]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: PurePath, paths: Iterable[str]) -> ListedTree:
        """The folders of these files, given by their paths."""
        tree = cls(root)
        for path in sorted(paths):
            folder, _, name = path.rpartition("/")
            if tree._has(folder) and name and not is_hidden(name):
                tree.files[folder].append(name)
        return tree

    def _has(self, folder: str) -> bool:
        """Whether a folder is part of the tree; it is as soon as it is asked for."""
        if folder in self.files:
            return True
        above, _, name = folder.rpartition("/")
        if folder and (is_hidden(name) or not name or not self._has(above)):
            return False
        self.files[folder] = []
        self.folders[folder] = {}
        if folder:
            self.folders[above][name] = None
        return True

    def contents(self, path: str) -> Contents:
        """See `Tree`."""
        return Contents(tuple(self.files.get(path, ())), tuple(sorted(self.folders.get(path, ()))))

    def count_photos(self, path: str, contents: Contents) -> int:
        """See `Tree`: by their names, and without such whatever may be one."""
        named = sum(looks_like_image_name(name) for name in contents.files)
        return named or sum(may_be_photo(name) for name in contents.files)

    def holds_photos(self, path: str) -> bool:
        """See `Tree`."""
        return any(self.count_photos(one, self.contents(one)) for one in self.below(path))

    def below(self, path: str) -> Iterable[str]:
        """A folder and those in it, parents first, in order of their names."""
        yield path
        for name in self.contents(path).folders:
            yield from self.below(f"{path}/{name}".lstrip("/"))
