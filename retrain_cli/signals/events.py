"""What happens in a recording, and when: from a file of events, or from a label of each sample."""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.text_files import read_text, rows_of
from retrain_cli.errors import DatasetError, setting
from retrain_cli.signals.recordings import Recording, delimiter_of

_RULE = "a file of events has lines of start,end,label, or file,start,end,label"


class Event(NamedTuple):
    """Samples from `start` to before `end`, and what they are."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class ListedEvent:
    """A line of a file of events.

    Attributes:
        line: its number.
        file: the recording that it is of, by path or name; None for all.
        start, end: in seconds, or in samples of a recording without a rate.
        label: what it is.
    """

    line: int
    file: str | None
    start: float
    end: float
    label: str


def read_events(path: Path) -> list[ListedEvent]:
    """Read a file of events; a first line of names says what its columns are.

    Raises:
        DatasetError: it cannot be read, or a line is no event.
    """
    rows = _rows(path)
    names = [cell.strip().casefold() for cell in rows[0]] if rows else []
    has_header = "start" in names and "end" in names
    if not has_header:
        names = ["file", "start", "end", "label"] if len(names) > 3 else ["start", "end", "label"]
    found = [
        _listed(path, number + 1, dict(zip(names, row, strict=False)))
        for number, row in enumerate(rows)
        if any(cell.strip() for cell in row) and not (has_header and number == 0)
    ]
    if not found:
        raise DatasetError(f"{_RULE}; {str(path)!r} has none: add them")
    return found


def _rows(path: Path) -> list[list[str]]:
    """Cells of its lines, separated by commas, semicolons or tabs.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        text = read_text(path)
        return rows_of(text, delimiter_of(text.splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"the events cannot be read from {str(path)!r} ({reason}): check the path"
        ) from error


def _listed(path: Path, line: int, cells: dict[str, str]) -> ListedEvent:
    try:
        start, end = float(cells["start"]), float(cells["end"])
        sound = math.isfinite(start) and math.isfinite(end) and 0 <= start < end
    except (KeyError, ValueError):
        sound = False
    if not sound:
        raise DatasetError(
            f"{_RULE}, with 0 <= start < end; line {line} of {str(path)!r} is "
            f"{','.join(cells.values())!r}: correct it"
        )
    label = cells.get("label", "").strip() or "event"
    return ListedEvent(line, cells.get("file", "").strip() or None, start, end, label)


def events_of(recording: Recording, listed: list[ListedEvent]) -> list[Event]:
    """The events of one recording, in samples, in order of time.

    Raises:
        DatasetError: one begins behind the recording's end.
    """
    rate = recording.rate or 1.0
    found = []
    for event in listed:
        if event.file is not None and not _is_of(recording.path, event.file):
            continue
        first, last = event.start * rate, min(event.end * rate, float(len(recording)))
        if first >= len(recording):
            unit = "s" if recording.rate else "samples"
            raise DatasetError(
                f"an event must begin within its recording; line {event.line} begins at "
                f"{event.start:g} {unit}, and {str(recording.path)!r} ends at "
                f"{len(recording) / rate:g} {unit}: correct it, or say {setting('rate')}"
            )
        start = min(round(first), len(recording) - 1)
        found.append(Event(start, max(round(last), start + 1), event.label))
    return sorted(found)


def check_files(listed: list[ListedEvent], paths: list[Path]) -> None:
    """Refuse events of a recording that is not there.

    Raises:
        DatasetError: naming the line.
    """
    for event in listed:
        if event.file is not None and not any(_is_of(path, event.file) for path in paths):
            raise DatasetError(
                f"an event's file must be one of the recordings; line {event.line} names "
                f"{event.file!r}: correct it, or name that recording, too"
            )


def _is_of(path: Path, name: str) -> bool:
    return name in (str(path), path.name, path.stem)


def stretches(labels: NDArray[np.str_]) -> list[Event]:
    """Runs of equal labels, one after another; together they are the whole recording."""
    changes = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    edges = [0, *changes.tolist(), len(labels)]
    return [Event(start, end, str(labels[start])) for start, end in pairwise(edges)]


def commonest(events: list[Event]) -> str:
    """The label of most samples; of equal ones the first by name."""
    samples: Counter[str] = Counter()
    for event in events:
        samples[event.label] += event.end - event.start
    return min(samples, key=lambda label: (-samples[label], label))
