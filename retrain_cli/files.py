"""Reading whole files that are named by somebody: never endless, never waiting for nobody."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

MOST_TEXT_BYTES = 256 << 20
"""Of a file that people or this program write as text."""

_PIECE_BYTES = 1 << 20


def read_file(path: Path, most: int = MOST_TEXT_BYTES) -> bytes:
    """All bytes of a file, or of a pipe that somebody writes to.

    Args:
        path: the file; one that nobody writes to is an empty one.
        most: bytes that it may have.

    Raises:
        OSError: it cannot be read, is a device or a folder, or has more bytes.
    """
    with open_at_once(path) as file:
        pieces: list[bytes] = []
        left = most + 1
        while left > 0 and (piece := file.read(min(left, _PIECE_BYTES))):
            pieces.append(piece)
            left -= len(piece)
    if left <= 0:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB", str(path))
    return b"".join(pieces)


def parse_json(text: str | bytes) -> Any:
    """What a JSON document holds.

    Raises:
        ValueError: it is none, or is nested deeper than any file of ours.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def hex_digest(path: Path) -> str:
    """BLAKE2b-128 of a file's bytes, as 32 hex digits; memory does not grow with the file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


class NotOrdinaryError(OSError):
    """A device or a folder, where a file was expected."""


def open_at_once(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file, or a pipe whose writer is there already, for reading.

    Raises:
        OSError: it cannot be read; a NotOrdinaryError for a device or a folder.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - Path.open has no opener
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISFIFO(mode):
        os.set_blocking(file.fileno(), True)
    elif not stat.S_ISREG(mode):
        file.close()
        raise NotOrdinaryError(errno.EINVAL, "it is no ordinary file", str(path))
    return file


def check_ordinary(path: Path) -> None:
    """Refuse what a library would wait for, or never come to the end of.

    Raises:
        OSError: it is not there, or no ordinary file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotOrdinaryError(errno.EINVAL, "it is no ordinary file", str(path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # Windows has no such pipes
