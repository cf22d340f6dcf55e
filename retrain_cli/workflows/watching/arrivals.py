"""Which photos have arrived in a folder: those that two looks have found the same.

A file is copied bit by bit, and nothing tells when that is over, least of all on a network drive,
which sends no events either. So the folder is looked at again and again. What is known of a file
is forgotten as soon as the file is gone, so that memory does not grow with what passes through.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from retrain_cli.datasets.folders import images_below

State = tuple[int, int, int]
"""Bytes, time of the last change in nanoseconds, and inode of a file."""


def state_of(path: Path) -> State | None:
    """How a file is now; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - links are followed, as when it is read
    except (OSError, ValueError):
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as the last look found it, and from when on it is to be taken."""

    state: State
    rests_until: float = -math.inf


class Arrivals:
    """Looks at a folder for photos that have arrived.

    Args:
        inbox: the folder.
        ignored: files and folders in it that are no part of it, such as the album.

    Attributes:
        growing: how many files the last look found new or changed, or empty.
    """

    def __init__(self, inbox: Path, ignored: Collection[Path] = ()) -> None:
        self._inbox, self._ignored = inbox, tuple(ignored)
        self._known: dict[Path, _Known] = {}
        self.growing = 0

    def look(self) -> list[Path]:
        """The photos that have arrived and are not told to `leave`; in the order of the walk."""
        now, before = time.monotonic(), self._known
        self._known, self.growing = {}, 0
        arrived: list[Path] = []
        for path in images_below(self._inbox, self._ignored):
            state = state_of(path)
            if state is None:
                continue
            known = before.get(path)
            if known is None or known.state != state or state[0] == 0:
                self._known[path] = _Known(state)
                self.growing += 1
                continue
            self._known[path] = known
            if known.rests_until <= now:
                arrived.append(path)
        return arrived

    def seen(self, path: Path) -> State | None:
        """How the last look found a photo; None where it found none."""
        known = self._known.get(path)
        return None if known is None else known.state

    def is_as_seen(self, path: Path) -> bool:
        """Whether a photo is still there, and as the last look found it."""
        state = state_of(path)
        return state is not None and state == self.seen(path)

    def leave(self, path: Path, seconds: float = math.inf) -> None:
        """Do not take a photo again before it has changed, or so many seconds are over."""
        state = state_of(path)
        if state is not None:
            self._known[path] = _Known(state, time.monotonic() + seconds)
