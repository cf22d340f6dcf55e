"""`labels.csv` or `labels.jsonl`: a row for each photo that was labelled, at the end of the table.

A row is written in one piece, and before its photo moves. Where the move does not follow, the row
is taken back: at once, or by the next watch where this one was killed in between.
"""

from __future__ import annotations

import csv
import errno
import filecmp
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrain_cli.durable import sync
from retrain_cli.errors import ConfigError, WorkspaceError, setting
from retrain_cli.files import parse_json
from retrain_cli.workflows.label import LabelledImage
from retrain_cli.workflows.watching.arrivals import State
from retrain_cli.workflows.watching.label_rows import csv_cells, csv_columns, csv_line, json_row
from retrain_cli.workflows.watching.watch_request import WatchRequest
from retrain_cli.workspace import to_json, writing_to

_OWN = ("model", "size", "mtime_ns")
"""What the table has beside the printed answers: who labelled, and the file as it was."""

_LONGEST_ROW = 1 << 20


class LabelTable:
    """The table of an inbox, opened anew for each row, so that it may be moved away at any time.

    Paths in it are relative: of photos to the inbox, of their new places to the album.

    Args:
        request: names the inbox, the album and the form.
        top_k: labels a photo.
        model: who labels.
    """

    def __init__(self, request: WatchRequest, top_k: int, model: str) -> None:
        assert request.table is not None
        self.path = request.table
        self._inbox = request.folder
        self._album = None if request.sort_into is None else request.home
        self._top_k, self._model = top_k, model
        self._columns: list[str] | None = None  # of CSV alone
        if request.tags == "csv":
            self._columns = [*csv_columns(top_k, sorts=self._album is not None), *_OWN]
        self._before: int | None = None
        """Bytes that the table had before the row whose photo is still to move."""

    def mend(self) -> None:
        """Take back the last row, where it is half a row or its photo did not move.

        Raises:
            ConfigError: the table has other columns.
            WorkspaceError: it cannot be read or written.
        """
        with writing_to(self.path), suppress(FileNotFoundError), self.path.open("r+b") as file:
            self._check_columns(file.readline())
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - _LONGEST_ROW))
            *rows, half = file.read().split(b"\n")
            if half:
                file.truncate(end - len(half))
            elif rows and self._is_early(rows[-1]):
                file.truncate(end - len(rows[-1]) - 1)

    def _check_columns(self, first: bytes) -> None:
        if self._columns is None or not first.endswith(b"\n"):
            return
        found = next(csv.reader([first.decode(errors="surrogateescape")]), [])
        if found != self._columns:
            raise ConfigError(
                f"{self.path} has other columns than this watch writes ({len(found)} and "
                f"{len(self._columns)}; {setting('top_k')} and {setting('sort_into')} decide): "
                "move it away, or watch as before"
            )

    def _is_early(self, row: bytes) -> bool:
        """Whether the photo of a row lies in the inbox as before, and not in the album alone."""
        read = self._read(row)
        name, place = read.get("path"), read.get("sorted_to") or read.get("sorted to")
        if self._album is None or not (isinstance(name, str) and isinstance(place, str) and place):
            return False
        photo, target = self._inbox / name, self._album / place
        if not photo.is_file():
            return False
        with suppress(OSError):
            return not target.exists() or filecmp.cmp(photo, target, shallow=False)
        return False

    def write(self, image: LabelledImage, state: State, place: Path | None = None) -> None:
        """Write the row of a photo; one of it that was not kept yet is replaced.

        Args:
            image: the answer.
            state: how the photo was when it was labelled.
            place: where in the album it is about to be.

        Raises:
            OSError: it cannot be written, for instance because the disk is full.
        """
        self.take_back()
        line = self._line(image, state, place)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0))
        try:
            before = os.fstat(file).st_size
            if before == 0 and self._columns is not None:
                line = csv_line(self._columns).encode() + b"\n" + line
            if os.write(file, line) < len(line):
                os.ftruncate(file, before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
        self._before = before
        if before == 0:
            sync(self.path.parent)

    def keep(self) -> None:
        """The photo of the last row has moved."""
        self._before = None

    def take_back(self) -> None:
        """Remove the last row, if its photo has not moved."""
        if self._before is not None:
            with suppress(FileNotFoundError):
                os.truncate(self.path, self._before)
            self._before = None

    def _line(self, image: LabelledImage, state: State, place: Path | None) -> bytes:
        photo = replace(image, path=self._name_of(Path(image.path)))
        if place is not None and self._album is not None:
            place = place.relative_to(self._album)
        own = dict(zip(_OWN, (self._model, *state[:2]), strict=True))
        if self._columns is None:
            line = to_json({**json_row(photo, place), **own})
        else:
            cells = csv_cells(photo, place, self._top_k, sorts=self._album is not None)
            line = csv_line([*cells, *map(str, own.values())])
        return line.encode(errors="surrogateescape") + b"\n"

    def _name_of(self, photo: Path) -> str:
        return str(photo.relative_to(self._inbox))

    def _read(self, row: bytes) -> Mapping[str, Any]:
        """A row by the names of its cells; empty where it is none."""
        with suppress(ValueError):
            text = row.decode(errors="surrogateescape")
            if self._columns is None:
                found = parse_json(text)
                return found if isinstance(found, dict) else {}
            cells = next(csv.reader([text]), [])
            if len(cells) == len(self._columns):
                plain = (cell.removeprefix("'") for cell in cells)  # as `csv_cell` put it
                return dict(zip(self._columns, plain, strict=True))
        return {}

    def states(self) -> dict[Path, tuple[int, int]]:
        """Bytes and time of change, in nanoseconds, of the photos that this model has labelled.

        Raises:
            WorkspaceError: the table cannot be read.
        """
        try:
            return dict(self._states())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise WorkspaceError(
                f"{self.path} could not be read ({error.strerror or error}): check its permissions"
            ) from error

    def _states(self) -> Iterator[tuple[Path, tuple[int, int]]]:
        with self.path.open("rb") as file:
            for line in file:
                row = self._read(line.rstrip(b"\r\n"))
                with suppress(KeyError, ValueError, TypeError):
                    if row["model"] == self._model:
                        yield self._inbox / row["path"], (int(row["size"]), int(row["mtime_ns"]))
