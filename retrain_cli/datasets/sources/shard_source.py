"""Photos in the tar shards of a WebDataset: `flowers-{000..009}.tar`, read where they lie.

Files of one name up to its first dot are a sample: `a/0001.jpg` and `a/0001.cls` are the photo and
the class of sample `a/0001`, as https://github.com/webdataset/webdataset has it.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Final

from retrain_cli.datasets.folders import FoundFile, FoundFolder, find_file
from retrain_cli.datasets.layout import ClassFolder, Layout, LayoutChoice
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.images.formats import looks_like_image_name
from retrain_cli.images.tar_members import TarMember, members_of, read_member

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_LABELS: Final = ("cls", "json", "txt")
"""Where a sample's class is looked for, in this order."""
_JSON_KEYS: Final = ("label", "class", "cls", "class_name")


@dataclass(frozen=True)
class ShardSource:
    """Samples of tar shards; see `PhotoSource`.

    The photo `0001.jpg` of the class daisy in `flowers-000.tar` is `daisy/flowers-000.tar/0001.jpg`
    among the photos. It is unchanged while its shard is, and it begins where it did.

    Attributes:
        root: the shards, by a path with `{000..009}` or a wildcard in its last part.
    """

    root: Path

    def layout(self, choice: LayoutChoice) -> Layout:
        """See `PhotoSource`."""
        if choice == "splits":
            raise ConfigError(
                f"{setting('layout')} is about folders, and {self.root} are shards: leave it out"
            )
        classes, without = self._samples
        folders = tuple(ClassFolder(label, label) for label in sorted(classes))
        told = [
            f"{len(without)} photo(s) left out, such as {name}: there is no class in a .cls, .json "
            "or .txt beside them"
            for name in without[:1]
        ]
        advice = "a shard has the class of 0001.jpg in 0001.cls, 0001.json or 0001.txt"
        return Layout(self.root, "classes", folders, (), tuple(told), advice)

    def folders(self, layout: Layout) -> Iterator[FoundFolder]:
        """See `PhotoSource`."""
        for folder in layout.folders:
            names = self._samples[0][folder.path]
            files = tuple(self.find(folder.path, name) for name in sorted(names))
            yield FoundFolder(folder.path, folder.class_name, None, files)

    def loose_files(self, layout: Layout) -> int:
        """See `PhotoSource`."""
        return 0

    def find(self, folder: str, name: str) -> FoundFile:
        """See `PhotoSource`."""
        shard, _, member = name.partition("/")
        own = self._shards.get(shard)
        found = None if own is None else own.get(member)
        if found is None:
            return FoundFile(name, -1, 0)
        archive = self._archives[shard]
        return FoundFile(name, found.size, archive.mtime_ns, archive.ctime_ns, found.offset)

    def locate(self, path: str) -> Path:
        """See `PhotoSource`."""
        return self.root.parent / path.partition("/")[2]

    @cached_property
    def _archives(self) -> dict[str, FoundFile]:
        return {one.name: find_file(one.parent, one.name) for one in shard_paths(self.root)}

    @cached_property
    def _shards(self) -> dict[str, dict[str, TarMember]]:
        """The files of each shard."""
        shards = {}
        for name in self._archives:
            try:
                shards[name] = members_of(self.root.parent / name)
            except OSError as error:
                raise _unreadable(self.root.parent / name, error.strerror or str(error)) from error
            except tarfile.TarError as error:
                raise _unreadable(self.root.parent / name, str(error)) from error
        return shards

    @cached_property
    def _samples(self) -> tuple[dict[str, list[str]], list[str]]:
        """The photos of each class, as `shard/name`; and those without one."""
        classes: dict[str, list[str]] = defaultdict(list)
        without: list[str] = []
        for shard, members in self._shards.items():
            labels = self._labels(shard, list(members))
            for name in members:
                if not looks_like_image_name(name):
                    continue
                label = labels.get(_key(name))
                (classes[label] if label else without).append(f"{shard}/{name}")
        return dict(classes), without

    def _labels(self, shard: str, members: list[str]) -> dict[str, str]:
        """The class of each sample of a shard that has one."""
        found: dict[str, str] = {}
        for kind in _LABELS:
            for name in members:
                key = _key(name)
                if key not in found and name == f"{key}.{kind}":
                    data = read_member(self.root.parent / shard, name)
                    if label := _label_in(data, kind):
                        found[key] = _checked(label, f"{shard}/{name}")
        return found


def shard_paths(pattern: Path) -> list[Path]:
    """The files of a path with ranges such as `{000..009}` or wildcards in its last part; in order.

    Those of a range are all there has to be; a shard that is not there is named when it is read.
    """
    found = _RANGE.search(pattern.name)
    if found is None:
        return sorted(pattern.parent.glob(pattern.name)) or [pattern]
    first, last = found.groups()
    numbers = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    before, after = pattern.name[: found.start()], pattern.name[found.end() :]
    spelt = (pattern.with_name(f"{before}{number}{after}") for number in numbers)
    return list(chain.from_iterable(map(shard_paths, spelt)))


def _key(name: str) -> str:
    """What the files of a sample share: their path up to the first dot of the file's name."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{file.partition('.')[0]}"


def _label_in(data: bytes, kind: str) -> str:
    """The class that a file beside a photo names; empty where there is none."""
    text = data.decode("utf-8", "replace").strip()
    if kind != "json":
        return text
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if isinstance(values, dict):
        values = next((values[key] for key in _JSON_KEYS if key in values), None)
    return str(values).strip() if isinstance(values, str | int) else ""


def _checked(label: str, place: str) -> str:
    if "/" in label or "\n" in label or len(label) > 200:
        raise DatasetError(
            f"a class is a name of one line without a slash, and {place} has {label!r:.60}: the "
            "class of 0001.jpg stands in 0001.cls, 0001.json (label) or 0001.txt"
        )
    return label


def _unreadable(path: Path, reason: str) -> DatasetError:
    return DatasetError(
        f"shards must be tar files that are whole and not compressed; received {path} "
        f"({reason}): check the path, or fetch the shard again"
    )
