"""Paths as users write them, with `~`, made absolute; where there is no home folder, too."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

StrPath = str | os.PathLike[str]
"""A path as the caller has it: text, or anything that stands for a path."""

Paths = StrPath | Iterable[StrPath]
"""Some paths, or a single one."""


def absolute(path: StrPath) -> Path:
    """The path with `~` expanded, as the shell does: where that means no folder, it is a name.

    `Path.expanduser` raises for a user that does not exist, and for a process without $HOME and
    without an entry in the list of users, as containers run them.
    """
    return as_path(path).absolute()


def as_path(path: StrPath) -> Path:
    """The same as a `Path`, with `~` expanded as in `absolute`; a relative one stays relative."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - see above


def as_paths(paths: Paths) -> tuple[Path, ...]:
    """Each of them by `as_path`; a text alone is one path, not one for each of its letters."""
    if isinstance(paths, str | os.PathLike):
        return (as_path(paths),)
    return tuple(map(as_path, paths))


def home() -> Path | None:
    """The user's home folder; None where there is none that can be written."""
    folder = Path(os.path.expanduser("~"))  # noqa: PTH111 - see above
    return folder if folder.is_absolute() and os.access(folder, os.W_OK) else None


def check_possible(path: str) -> str:
    """The path, if any file can have it; JSON and TOML can spell some that none can.

    Raises:
        ValueError: it holds a NUL, or half a character.
    """
    if "\0" in path:
        raise ValueError("a path holds no NUL")
    os.fsencode(path)  # raises a ValueError, too
    return path


def is_plain_name(name: str) -> bool:
    """Whether this can be the name of a file in a folder of ours, on every system.

    It leads into no other folder, is not hidden, and shows on a terminal as it is.
    """
    bad = set(name) & set('/\\:*?"<>|')
    hidden = name.startswith(".")
    return bool(name) and name == name.strip() and not hidden and not bad and name.isprintable()
