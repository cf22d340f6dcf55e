"""`windows.csv`: which window of which recording each image shows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from retrain_cli.datasets.text_files import read_rows
from retrain_cli.errors import DatasetError
from retrain_cli.workspace import write_atomically, writing_to

LISTING = "windows.csv"


class Row(NamedTuple):
    """An image.

    Attributes:
        image: its path below the folder.
        recording: the file that it shows a window of.
        start, end: the window's first sample, and the one behind its last.
        seconds: where it begins, or None where nobody says how many samples a second has.
        label: what it shows, or None.
    """

    image: str
    recording: str
    start: int
    end: int
    seconds: float | None
    label: str | None


def replace_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the list with these images in place of earlier ones of the same recordings.

    Those that are not drawn again are removed: they were cut by other settings, and would share
    samples with the new ones. The list is there before the images are, so that none is without it.

    Raises:
        DatasetError: the list that is there cannot be read.
        WorkspaceError: it, or an image, cannot be written.
    """
    lines: dict[str, list[str]] = {}
    recordings = {row.recording for row in rows}
    names = {row.image for row in rows}
    for line in _read(path):
        if line[1] not in recordings:
            lines[line[0]] = line
        elif line[0] not in names:
            _remove(path.parent, line[0])
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:.6g}"
        cells = [row.image, row.recording, str(row.start), str(row.end), seconds, row.label or ""]
        lines[row.image] = cells
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(lines[image] for image in sorted(lines))
    write_atomically(path, text.getvalue())


def _remove(folder: Path, image: str) -> None:
    """Remove an image that the list names; never anything outside of the folder."""
    target = folder / image
    if target.suffix == ".png" and target.resolve().is_relative_to(folder.resolve()):
        with writing_to(target):
            target.unlink(missing_ok=True)


def check_owners(path: Path, rows: Iterable[Row]) -> None:
    """Refuse images that would take the place of another recording's.

    Args:
        path: the list.
        rows: the images that are to be drawn.

    Raises:
        DatasetError: naming both recordings.
    """
    names = {row.image: row.recording for row in rows}
    for row in _read(path):
        mine = names.get(row[0])
        if mine is not None and mine != row[1]:
            raise DatasetError(
                f"images are called after their recordings, and that of {mine!r} would take the "
                f"place of {row[1]!r}: rename the recording or choose another folder"
            )


def _read(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    rows = read_rows(path, "the list of windows is a CSV file", "move it out of the way")
    return [row for row in rows[1:] if len(row) == len(Row._fields)]
