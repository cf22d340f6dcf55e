"""Read one file: is it an image, what is its digest, and its pixels if they are needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from retrain_cli.errors import ImageError
from retrain_cli.files import NotOrdinaryError, open_at_once
from retrain_cli.images.decode import Pixels
from retrain_cli.images.formats import HEAD_BYTES, looks_like_image_name, sniff_format

DIGEST_BYTES = 16

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused: no photo is, and the memory of all readers has to hold them."""

_PIECE_BYTES = 1 << 24

Decoder = Callable[[bytes], Pixels]


@dataclass(frozen=True, slots=True)
class Examined:
    """What reading one file told.

    Attributes:
        digest: 16 bytes of BLAKE2b of the content; None where the file holds no image.
        problem: why it cannot be used as an image; None where it can, or where it is something
            else altogether (a note, a spreadsheet) that nobody meant as an image.
        pixels: `(height, width, 3) uint8`; None where they were not needed.
    """

    digest: bytes | None = None
    problem: str | None = None
    pixels: Pixels | None = None


def content_digest(data: bytes) -> bytes:
    """BLAKE2b-128 of the file's bytes: the identity of an image everywhere in the tool."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def examine_file(path: Path, decode: Decoder, is_cached: Callable[[bytes], bool]) -> Examined:
    """Read `path` once; decode it only where its bottleneck is not cached. Never raises.

    Args:
        path: the file.
        decode: bytes -> pixels; raises ImageError.
        is_cached: whether a digest needs no pixels.
    """
    try:
        data = _read_image_bytes(path)
    except OSError as error:
        return Examined(problem=f"cannot be read ({error.strerror or error})")
    except ValueError:  # what Python raises for such a name
        return Examined(problem="a NUL in its name; a list separated by NULs needs -0")
    except ImageError as error:
        return Examined(problem=str(error))
    return Examined() if data is None else examine_bytes(data, decode, is_cached)


def examine_bytes(data: bytes, decode: Decoder, is_cached: Callable[[bytes], bool]) -> Examined:
    """As `examine_file`, for an image that is in memory already."""
    digest = content_digest(data)
    if is_cached(digest):
        return Examined(digest)
    try:
        return Examined(digest, pixels=decode(data))
    except ImageError as error:
        return Examined(digest, problem=str(error))


def _read_image_bytes(path: Path) -> bytes | None:
    """The file's bytes, or None where it neither is an image nor is named like one.

    The head is read first, so that a video among the photos is not read through.
    """
    with _open(path) as file:
        head = file.read(HEAD_BYTES)
        if sniff_format(head, path.name) is not None:
            return head + _rest(file, MAX_FILE_BYTES - len(head))
    if not looks_like_image_name(path.name):
        return None
    raise ImageError("0 bytes" if not head else "not an image, in spite of its name")


def read_file(path: Path) -> bytes:
    """All bytes of a file that should be an image.

    Raises:
        OSError: it cannot be read.
        ImageError: it is no file, or too large for an image.
    """
    with _open(path) as file:
        return _rest(file, MAX_FILE_BYTES)


def read_unchanged(path: Path, digest: bytes) -> bytes | None:
    """All bytes of a photo; None where it cannot be read, or is not what it was."""
    try:
        data = read_file(path)
    except (OSError, ImageError):
        return None
    return data if content_digest(data) == digest else None


def _open(path: Path) -> BinaryIO:
    """Open a file or a pipe; a pipe that nobody writes to is an empty one, and nothing hangs."""
    try:
        return open_at_once(path)
    except NotOrdinaryError as error:
        raise ImageError("not a file") from error


def _rest(file: BinaryIO, limit: int) -> bytes:
    """What is left of a file, in pieces: a pipe may never end, and a file may grow."""
    pieces: list[bytes] = []
    if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
        limit = 0
    while limit > 0 and (piece := file.read(_PIECE_BYTES)):
        pieces.append(piece)
        limit -= len(piece)
    if limit <= 0:
        raise ImageError(f"more than {MAX_FILE_BYTES >> 20} MiB, the limit for an image file")
    return b"".join(pieces)
