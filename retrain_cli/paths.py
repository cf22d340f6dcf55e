"""Paths as users write them, with `~`, made absolute; where there is no home folder, too."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(path: str | Path) -> Path:
    """The path with `~` expanded, as the shell does: where that means no folder, it is a name.

    `Path.expanduser` raises for a user that does not exist, and for a process without $HOME and
    without an entry in the list of users, as containers run them.
    """
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - see above


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
