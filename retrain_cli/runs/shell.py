"""Commands as they are typed into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence


def shell_line(arguments: Sequence[str]) -> str:
    """The arguments as one line for a POSIX shell; names of any bytes come out as they went in."""
    return " ".join(_quoted(argument) for argument in arguments)


def remove_line(run: str) -> str:
    """The command that removes a run."""
    return shell_line(["retrain", "runs", "rm", run])


def _quoted(argument: str) -> str:
    """Plainly, in quotes, or byte by byte as `$'...'` (bash, zsh) where it cannot be shown."""
    if argument.isprintable() and _is_text(argument):
        return shlex.quote(argument)
    return "$'" + "".join(_escaped(byte) for byte in os.fsencode(argument)) + "'"


def _is_text(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(byte: int) -> str:
    character = chr(byte)
    plain = 32 <= byte < 127 and character not in "\\'"
    return character if plain else f"\\{byte:03o}"
