"""Photos that a CSV file lists, each with its label."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Final, NoReturn

from retrain_cli.datasets.class_names import listed
from retrain_cli.datasets.folders import FoundFile, FoundFolder, find_file
from retrain_cli.datasets.layout import ClassFolder, Layout, LayoutChoice
from retrain_cli.datasets.sources.bucket_source import found_object
from retrain_cli.datasets.text_files import decoded
from retrain_cli.errors import ConfigError, DatasetError, ImageError, StorageError, setting
from retrain_cli.images.photo_files import read_file
from retrain_cli.storage.buckets import FoundObject, open_store
from retrain_cli.storage.urls import UrlPath, as_place

LIST_SUFFIXES: Final = (".csv", ".tsv")
_PATH_COLUMNS: Final = ("path", "image", "file", "filename", "image_path", "filepath", "url", "uri")
_LABEL_COLUMNS: Final = ("label", "class", "category")
_DELIMITERS: Final = ",;\t"
_MOST_NAMED: Final = 3


@dataclass(frozen=True)
class _Row:
    """One line of the list.

    Attributes:
        line: its number in the file, from 1.
        path: as it is written.
        label: without blanks around it.
    """

    line: int
    path: str
    label: str


@dataclass(frozen=True)
class ListSource:
    """A list of photos; see `PhotoSource`.

    Its classes stand for folders: the photo `a/1.jpg` of the class daisy is `daisy/a/1.jpg` among
    the photos, and lies at `a/1.jpg` beside the list.

    Attributes:
        root: the list, a file or an object.
    """

    root: PurePath

    def layout(self, choice: LayoutChoice) -> Layout:
        """See `PhotoSource`."""
        if choice == "splits":
            raise ConfigError(
                f"{setting('layout')} is about folders, and {self.root} is a list: leave it out"
            )
        folders = tuple(ClassFolder(label, label) for label in sorted(self._rows))
        advice = "a list names the class of each photo in its column label"
        return Layout(self.root, "classes", folders, (), self._warnings, advice)

    def folders(self, layout: Layout) -> Iterator[FoundFolder]:
        """See `PhotoSource`."""
        for folder in layout.folders:
            paths = sorted(self._rows[folder.path])
            files = tuple(self.find(folder.path, path) for path in paths)
            yield FoundFolder(folder.path, folder.class_name, None, files)

    def loose_files(self, layout: Layout) -> int:
        """See `PhotoSource`."""
        return 0

    def find(self, folder: str, name: str) -> FoundFile:
        """See `PhotoSource`."""
        place = self._place(name)
        if isinstance(place, UrlPath):
            listing = self._listed(place.parent)
            if listing is None:
                return FoundFile(name, 0, 0)  # read each time
            return found_object(name, listing.get(place.name))
        found = find_file(Path(place.parent), place.name)
        return FoundFile(name, found.size, found.mtime_ns, found.ctime_ns, found.inode)

    def locate(self, path: str) -> PurePath:
        """See `PhotoSource`."""
        return self._place(path.partition("/")[2])

    def _place(self, written: str) -> PurePath:
        place = as_place(written)
        return place if isinstance(place, UrlPath) else self.root.parent / place

    def _listed(self, folder: UrlPath) -> dict[str, FoundObject] | None:
        """The objects directly below a URL, by name; None where the server does not list them."""
        if folder not in self._listings:
            try:
                found = open_store(folder).list_below(folder, deep=False)
                self._listings[folder] = {one.path: one for one in found}
            except StorageError:
                self._listings[folder] = None
        return self._listings[folder]

    @cached_property
    def _listings(self) -> dict[UrlPath, dict[str, FoundObject] | None]:
        return {}

    @cached_property
    def _read(self) -> tuple[dict[str, dict[str, int]], tuple[str, ...]]:
        rows: dict[str, dict[str, int]] = defaultdict(dict)
        label_of: dict[str, _Row] = {}
        again: list[int] = []
        for row in _rows_of(self.root):
            first = label_of.setdefault(row.path, row)
            if first.label != row.label:
                _refuse(
                    self.root,
                    row.line,
                    f"calls {row.path} {row.label!r}, and line {first.line} {first.label!r}",
                    "a photo has one label: remove one of the lines",
                )
            if first is not row:
                again.append(row.line)
            rows[row.label][row.path] = row.line
        lines = f"line(s) {listed(map(str, again[:_MOST_NAMED]))}"
        more = f" and {len(again) - _MOST_NAMED} more" if len(again) > _MOST_NAMED else ""
        told = f"{self.root} {lines}{more} name a photo again: it counts once"
        return dict(rows), (told,) if again else ()

    @property
    def _rows(self) -> dict[str, dict[str, int]]:
        """The lines of the photos of each label, by path."""
        return self._read[0]

    @property
    def _warnings(self) -> tuple[str, ...]:
        return self._read[1]


def _rows_of(root: PurePath) -> Iterator[_Row]:
    """The photos of a list.

    Raises:
        DatasetError: it cannot be read, or a line of it makes no sense.
    """
    try:
        text = decoded(read_file(root))
        delimiter = _delimiter_of(text)
        reader = csv.reader(
            io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
        )
        path_at, label_at = _columns(root, next(reader, []))
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(root, reader.line_num, cells, path_at, label_at)
    except csv.Error as error:
        _refuse(root, reader.line_num, f"is no CSV ({error})", "close its quotes")
    except (OSError, UnicodeDecodeError, ImageError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"{setting('from_csv')} takes a list of photos in UTF-8 with the columns path and "
            f"label; received {str(root)!r} ({reason}): check the path and the encoding"
        ) from error


def _delimiter_of(text: str) -> str:
    """What the names of the columns are parted by; spreadsheets of some countries write `;`."""
    head = text.partition("\n")[0]
    return max(_DELIMITERS, key=head.count)


def _columns(root: PurePath, header: Sequence[str]) -> tuple[int, int]:
    names = [name.strip().lower() for name in header]
    found = [
        next((names.index(name) for name in known if name in names), None)
        for known in (_PATH_COLUMNS, _LABEL_COLUMNS)
    ]
    if found[0] is None or found[1] is None:
        _refuse(
            root,
            1,
            f"is {','.join(header)!r:.80}",
            "the first line names the columns, path and label: write path,label above the rest",
        )
    return found[0], found[1]


def _row(root: PurePath, line: int, cells: Sequence[str], path_at: int, label_at: int) -> _Row:
    path, label = (cells[at].strip() if at < len(cells) else "" for at in (path_at, label_at))
    if not path or not label:
        missing = "label" if path else "path"
        _refuse(root, line, f"has no {missing}", "each line needs both: add it or remove the line")
    if "/" in label:
        _refuse(
            root, line, f"has the label {label!r}", "a label holds no slash: write another sign"
        )
    if path.startswith(("http://", "https://")):
        _refuse(
            root, line, f"lists {path:.80}", "photos are read from files and buckets: download them"
        )
    return _Row(line, path, label)


def _refuse(root: PurePath, line: int, what: str, advice: str) -> NoReturn:
    raise DatasetError(
        f"a list has one photo and its label a line; {root} line {line} {what}: {advice}"
    )
