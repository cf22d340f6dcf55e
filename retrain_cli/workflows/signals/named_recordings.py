"""The recordings that are named, each with the label that its folder gives it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from retrain_cli.errors import DatasetError
from retrain_cli.signals.recordings import SUFFIXES

NOTE = "signals.json"
"""Stands in each folder of images, and says how they were drawn."""
_IN_FOLDERS = tuple(suffix for suffix in SUFFIXES if suffix != ".txt")
"""A .txt file in a folder is more likely to be a note than a signal."""


class NamedRecording(NamedTuple):
    """A recording.

    Attributes:
        path: its file.
        label: name of the sub-folder that it came from, or None.
        stem: what its images are called; no other recording has the same.
    """

    path: Path
    label: str | None
    stem: str


def named_recordings(paths: Iterable[Path], ignore: Iterable[Path] = ()) -> list[NamedRecording]:
    """Files as they are named, and the recordings below folders in order of their paths.

    Args:
        paths: files and folders.
        ignore: files and folders that are no recordings.

    Raises:
        DatasetError: a path is not there, or there is no recording at all.
    """
    left_out = {path.resolve() for path in ignore}
    found: dict[Path, tuple[Path, str | None]] = {}
    for path in paths:
        if not path.exists():
            raise DatasetError(f"there is no {str(path)!r}: check the path")
        pairs = _below(path, left_out) if path.is_dir() else iter([(path, None)])
        for file, label in pairs:
            _, known = found.setdefault(file.resolve(), (file, label))
            if known != label:
                raise DatasetError(
                    f"a recording has one label; {str(file)!r} stands in {known!r} and in "
                    f"{label!r}: leave one out"
                )
    if not found:
        raise DatasetError(
            f"there is no signal in {', '.join(map(str, paths))}: a signal is one of "
            f"{', '.join(SUFFIXES)}"
        )
    stems = _stems([path for path, _ in found.values()])
    return [NamedRecording(path, label, stems[path]) for path, label in found.values()]


def _below(folder: Path, left_out: set[Path]) -> Iterator[tuple[Path, str | None]]:
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and (here / name).resolve() not in left_out
            and not (here / name / NOTE).exists()  # images of an earlier time
        )
        parts = here.relative_to(folder).parts
        for name in sorted(names):
            file = here / name
            is_signal = file.suffix.lower() in _IN_FOLDERS and not name.startswith(".")
            if is_signal and file.resolve() not in left_out:
                yield file, parts[0] if parts else None


def _stems(paths: list[Path]) -> dict[Path, str]:
    """A name for each, of as much of its path as tells it from the others."""
    stems = {path: _plain(path.stem) for path in paths}
    for depth in range(1, max(len(path.absolute().parts) for path in paths)):
        counts = Counter(name.casefold() for name in stems.values())
        same = [path for path, name in stems.items() if counts[name.casefold()] > 1]
        if not same:
            break
        for path in same:
            parents = path.absolute().parts[1:-1][-depth:]
            stems[path] = _plain("-".join((*parents, path.stem)))
    taken: set[str] = set()
    for path, name in stems.items():  # what differs in its suffix, or where names are cut
        numbers = (f"{name}-{number}" for number in range(2, len(paths) + 2))
        choices = (name, f"{name}-{path.suffix[1:]}", *numbers)
        stems[path] = next(one for one in choices if one.casefold() not in taken)
        taken.add(stems[path].casefold())
    return stems


def _plain(stem: str) -> str:
    """A stem without the mark that would end the name of a group."""
    return stem.replace("_nohash_", "-")[-150:].lstrip(".") or "recording"
