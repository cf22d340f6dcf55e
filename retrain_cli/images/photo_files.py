"""The bytes of a photo, wherever it is: a file, one of a shard, a pipe, an object of a bucket."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import PurePath
from typing import BinaryIO

from retrain_cli.errors import ImageError
from retrain_cli.files import NotOrdinaryError, open_at_once
from retrain_cli.images.formats import HEAD_BYTES, looks_like_image_name, sniff_format
from retrain_cli.images.tar_members import open_member
from retrain_cli.storage.urls import UrlPath, is_url

MAX_FILE_BYTES = 1 << 30
"""Larger files are refused: no photo is, and the memory of all readers has to hold them."""

_PIECE_BYTES = 1 << 24

Place = str | PurePath
"""Where a photo is: a path, or a URL."""


def read_file(place: Place) -> bytes:
    """All bytes of a file that should be an image.

    Raises:
        OSError: it cannot be read.
        ImageError: it is no file, or too large for an image.
        StorageError: the server that has it is lost.
    """
    if is_url(os.fspath(place)):
        return _read_object(UrlPath(place), every=True)
    with _open(place) as file:
        return _rest(file, MAX_FILE_BYTES)


def read_image_bytes(place: Place) -> bytes | None:
    """A file's bytes, or None where it neither is an image nor is named like one.

    The head is read first, so that a video among the photos is not read through.

    Raises:
        OSError, ImageError, StorageError: as `read_file`; ImageError also where only its name is
            that of an image.
    """
    name = os.path.basename(place)  # noqa: PTH119 - speed
    if is_url(os.fspath(place)):
        data = _read_object(UrlPath(place), every=looks_like_image_name(name))
        if sniff_format(data[:HEAD_BYTES], name) is not None:
            return data
        head = data[:HEAD_BYTES]
    else:
        with _open(place) as file:
            head = file.read(HEAD_BYTES)
            if sniff_format(head, name) is not None:
                return head + _rest(file, MAX_FILE_BYTES - len(head))
    if not looks_like_image_name(name):
        return None
    raise ImageError("0 bytes" if not head else "not an image, in spite of its name")


def _read_object(url: UrlPath, *, every: bool) -> bytes:
    """An object's bytes; unless it is to be read whatever it is, its head where it is no image."""
    from retrain_cli.storage.buckets import open_store

    def is_image(head: bytes) -> bool:
        return sniff_format(head[:HEAD_BYTES], url.name) is not None

    data = open_store(url).read(url, MAX_FILE_BYTES, None if every else is_image)
    if len(data) > MAX_FILE_BYTES:
        raise _too_large()
    return data


def _open(place: Place) -> BinaryIO:
    """Open a file, a pipe or the file of a shard.

    A pipe that nobody writes to is an empty one, and nothing hangs.
    """
    try:
        return open_at_once(place)
    except NotOrdinaryError as error:
        raise ImageError("not a file") from error
    except NotADirectoryError:
        member = open_member(os.fspath(place))
        if member is None:
            raise
        return member


def _rest(file: BinaryIO, limit: int) -> bytes:
    """What is left of a file, in pieces: a pipe may never end, and a file may grow."""
    pieces: list[bytes] = []
    if not isinstance(file, BytesIO) and os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
        limit = 0
    while limit > 0 and (piece := file.read(_PIECE_BYTES)):
        pieces.append(piece)
        limit -= len(piece)
    if limit <= 0:
        raise _too_large()
    return b"".join(pieces)


def _too_large() -> ImageError:
    return ImageError(f"more than {MAX_FILE_BYTES >> 20} MiB, the limit for an image file")
