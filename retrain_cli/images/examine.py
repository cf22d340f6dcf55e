"""Read one file: is it an image, what is its digest, and its pixels if they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from retrain_cli.errors import ImageError
from retrain_cli.images.decode import Pixels
from retrain_cli.images.photo_files import Place, read_file, read_image_bytes

DIGEST_BYTES = 16

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


def examine_file(place: Place, decode: Decoder, is_cached: Callable[[bytes], bool]) -> Examined:
    """Read a photo once; decode it only where its bottleneck is not cached.

    Args:
        place: where it is.
        decode: bytes -> pixels; raises ImageError.
        is_cached: whether a digest needs no pixels.

    Raises:
        StorageError: the server that has it is lost; nothing else that is wrong with it is raised.
    """
    data = load(place)
    return data if isinstance(data, Examined) else examine_bytes(data, decode, is_cached)


def load(place: Place) -> bytes | Examined:
    """The bytes of a photo; else, what can be told of it without any.

    Raises:
        StorageError: the server that has it is lost; nothing else that is wrong with it is raised.
    """
    try:
        data = read_image_bytes(place)
    except OSError as error:
        return Examined(problem=f"cannot be read ({error.strerror or error})")
    except ValueError:  # what Python raises for such a name
        return Examined(problem="a NUL in its name; a list separated by NULs needs -0")
    except ImageError as error:
        return Examined(problem=str(error))
    return Examined() if data is None else data


def examine_bytes(data: bytes, decode: Decoder, is_cached: Callable[[bytes], bool]) -> Examined:
    """As `examine_file`, for an image that is in memory already."""
    digest = content_digest(data)
    if is_cached(digest):
        return Examined(digest)
    try:
        return Examined(digest, pixels=decode(data))
    except ImageError as error:
        return Examined(digest, problem=str(error))


def read_unchanged(place: Place, digest: bytes) -> bytes | None:
    """All bytes of a photo; None where it cannot be read, or is not what it was."""
    try:
        data = read_file(place)
    except (OSError, ImageError):
        return None
    return data if content_digest(data) == digest else None
