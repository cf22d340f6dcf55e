"""Windows of a recording: which there are, what each shows, and which must stay together.

Windows that overlap share samples, so they must not stand on both sides of a split. Splits keep
together what is of one class and one group. So windows of different labels never overlap here, and
neither do those of different groups: the ones between are left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from retrain_cli.signals.events import Event

EDGE = "at the edge of an event"
MEETING = "where labels meet"
BETWEEN = "between groups"

_UNSURE, _NOTHING = -2, -1
"""In place of an event's number: part of one, too little to say; none."""


class Window(NamedTuple):
    """A window.

    Attributes:
        start: its first sample.
        label: what it shows; None where nobody says.
        group: first sample of the group that it belongs to; groups are of one label.
    """

    start: int
    label: str | None
    group: int


@dataclass(frozen=True)
class Windows:
    """Windows in order of time, and how many were left out and why."""

    kept: list[Window]
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Cutting:
    """How windows are cut.

    Attributes:
        window: samples of a window.
        step: samples from one window's start to the next one's.
        overlap: least share, in percent, that a window must hold of an event, or an event cover of
            the window, for the window to have its label.
        block: how long a group may become, in lengths of a window.
    """

    window: int = 512
    step: int = 128
    overlap: float = 50.0
    block: int = 8


def plain_windows(samples: int, cutting: Cutting, label: str | None = None) -> Windows:
    """All windows of a recording that shows one thing.

    Args:
        samples: how many the recording has, at least a window.
        cutting: how it is cut.
        label: what it shows; where that is None nothing is split, and no window left out.
    """
    if label is not None:
        return labelled_windows(samples, cutting, [], label)
    starts = range(0, samples - cutting.window + 1, cutting.step)
    return Windows([Window(start, None, 0) for start in starts])


def labelled_windows(
    samples: int, cutting: Cutting, events: Sequence[Event], background: str
) -> Windows:
    """Windows with the label of the event that they show, or `background`.

    A window that holds part of an event, but too little of it, is left out, for it shows neither.

    Args:
        samples: how many the recording has, at least a window.
        cutting: how it is cut.
        events: what happens; may overlap.
        background: label of the windows without any event.
    """
    starts = np.arange(0, samples - cutting.window + 1, cutting.step)
    shown = _shown(starts, cutting, events)
    left_out = Counter({EDGE: int((shown == _UNSURE).sum())})
    keep = shown != _UNSURE
    labels = np.array([event.label for event in events] + [background], object)
    apart = _apart(starts, shown, labels, keep, cutting.window)
    left_out[MEETING] = int((keep & ~apart).sum())
    kept: list[Window] = []
    for label in sorted(set(labels.tolist())):
        places = np.flatnonzero(apart & (labels[shown] == label))
        grouped = _grouped(starts[places], shown[places], events, cutting)
        kept += [Window(start, label, group) for start, group in grouped]
        left_out[BETWEEN] += len(places) - len(grouped)
    return Windows(sorted(kept), +left_out)


def _shown(
    starts: NDArray[np.int64], cutting: Cutting, events: Sequence[Event]
) -> NDArray[np.int64]:
    """Number of the event that each window shows, of several the one with most samples in it."""
    best = np.zeros(len(starts), np.int64)
    shown = np.full(len(starts), _NOTHING)
    for number, event in enumerate(events):
        first = max(0, (event.start - cutting.window) // cutting.step + 1)
        last = min(len(starts), (event.end - 1) // cutting.step + 1)
        near = starts[first:last]
        common = np.minimum(event.end, near + cutting.window) - np.maximum(event.start, near)
        enough = cutting.overlap / 100 * min(event.end - event.start, cutting.window)
        sure, more = common >= enough, common > best[first:last]
        part = shown[first:last]
        part[~sure & (part == _NOTHING)] = _UNSURE
        part[sure & more] = number
        best[first:last][sure & more] = common[sure & more]
    return shown


def _apart(
    starts: NDArray[np.int64],
    shown: NDArray[np.int64],
    labels: NDArray[np.object_],
    keep: NDArray[np.bool_],
    window: int,
) -> NDArray[np.bool_]:
    """Which windows stay, so that none overlaps one of another label; events come first."""
    stays = np.zeros(len(starts), bool)
    last: int | None = None
    for place in np.flatnonzero(keep & (shown != _NOTHING)).tolist():
        meets = last is not None and starts[place] < starts[last] + window
        if meets and labels[shown[place]] != labels[shown[last]]:
            continue
        stays[place], last = True, place
    taken, plain = np.flatnonzero(stays), np.flatnonzero(shown == _NOTHING)
    others = starts[taken][labels[shown[taken]] != labels[-1]]
    first = np.searchsorted(others, starts[plain] - window, side="right")
    behind = np.searchsorted(others, starts[plain] + window, side="left")
    stays[plain] = first == behind
    return stays


def _grouped(
    starts: NDArray[np.int64],
    shown: NDArray[np.int64],
    events: Sequence[Event],
    cutting: Cutting,
) -> list[tuple[int, int]]:
    """Start and group of the windows of one label that stay; groups do not overlap.

    An event is cut into several groups only where it is longer than a group may be.
    """
    longest = cutting.block * cutting.window
    found: list[tuple[int, int]] = []
    before = group = _NOTHING
    for start, number in zip(starts.tolist(), shown.tolist(), strict=True):
        if found:
            same = number == before
            is_short = number >= 0 and events[number].end - events[number].start <= longest
            is_full = start >= group + longest and not (same and is_short)
            meets = start < found[-1][0] + cutting.window
            if is_full and meets:
                continue
            if is_full or not (meets or same):
                group = start
        else:
            group = start
        found.append((start, group))
        before = number
    return found
