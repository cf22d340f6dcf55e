"""Which run is meant: by its name, by how that begins, or by its folder."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from retrain_cli.errors import RunError
from retrain_cli.paths import absolute
from retrain_cli.runs.folder import finished, is_run

_SHOWN = 5
"""Names in a message, at most."""


def find_run(name: str, root: Path) -> Path:
    """The folder of the run that is meant.

    A name of the workspace goes before a folder, and a folder before the beginning of a name.

    Args:
        name: as it was typed.
        root: the folder of all runs.

    Raises:
        RunError: none is meant, or several are.
    """
    if _can_be_name(name) and is_run(root / name):
        return root / name
    if _is_path(name) or _is_run_folder(absolute(name)):
        return _folder(name)
    names = run_names(root)
    meant = [one for one in names if one.startswith(name)] if name else []
    match meant:
        case [only]:
            return root / only
        case []:
            raise RunError(_no_such_run(name, names))
        case _:
            raise RunError(
                f"the beginning of a run's name must be that of one alone, and {name!r} is that of "
                f"{_listed(meant)}: type more of it"
            )


def run_names(root: Path) -> list[str]:
    """The names of all runs, newest first."""
    if not root.is_dir():
        return []
    folders = [folder for folder in root.iterdir() if is_run(folder)]
    folders.sort(key=lambda folder: (finished(folder), folder.name), reverse=True)
    return [folder.name for folder in folders]


def _can_be_name(name: str) -> bool:
    return name not in ("", ".", "..") and "\0" not in name and not _is_path(name)


def _is_path(name: str) -> bool:
    """Whether it can be nothing but a path."""
    separators = {os.sep, os.altsep or os.sep, "/"}
    return name in (".", "..") or name.startswith("~") or any(one in name for one in separators)


def _is_run_folder(path: Path) -> bool:
    """Whether a folder that was named by chance is one of a run: it has the files of one."""
    try:
        return is_run(path) and (path / "head.npz").is_file()
    except (OSError, ValueError):  # names that no file can have
        return False


def _folder(name: str) -> Path:
    """The folder of a run by its path; `..` and links are followed, so that it has a name."""
    try:
        path = absolute(name).resolve()
        if is_run(path):
            return path
        reason = "is no folder of a run" if path.exists() else "is not there"
    except (OSError, ValueError, RuntimeError) as error:
        reason = f"cannot be looked at ({error})"
    raise RunError(
        f"a path in place of a run's name must lead to a run's folder, and {name} {reason}: "
        "`retrain runs path RUN` prints such folders"
    )


def _no_such_run(name: str, names: list[str]) -> str:
    if not names:
        return f"there is no run {name!r}, nor any other: `retrain train` makes one"
    close = difflib.get_close_matches(name, names) or names[:3]
    return f"there is no run {name!r}; there is {_listed(close)}: `retrain runs` lists all"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
