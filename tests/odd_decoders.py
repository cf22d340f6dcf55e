"""Decoders with a fault, in a module of their own, so that a reader process can import them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import DamagedFileError
from retrain_cli.images.decode import decode_image
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.images.resizing import ResizeRule

POISON = b"poison"


def poison(photo: Path) -> None:
    """Still a photo, for what comes after its end is not looked at."""
    photo.write_bytes(photo.read_bytes() + POISON)


def crash_on_poison(
    data: bytes,
    size: tuple[int, int] = (32, 32),
    rule: ResizeRule = "squash",
    timeout: float = PHOTO_TIMEOUT,
) -> NDArray[np.uint8]:
    """Takes the whole process with it, as a fault in a decoder's C code does."""
    if POISON in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    return decode_image(data, size, rule, timeout)


def be_killed_on_poison(data: bytes) -> NDArray[np.uint8]:
    """As the system does where memory ends."""
    if POISON in data:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode_image(data, (32, 32))


def have_a_fault(data: bytes) -> NDArray[np.uint8]:
    """A fault of the tool's own code."""
    raise KeyError(f"no luck with {len(data)} bytes")


def run_out_of_memory(data: bytes) -> NDArray[np.uint8]:
    """The process itself, not the decoder of a photo."""
    raise MemoryError


def meet_a_bad_cache(data: bytes) -> NDArray[np.uint8]:
    """As where the disk of the cache fails."""
    raise DamagedFileError("the cache must be sound and is not", "disk I/O error")


class CannotBeLoaded:
    """Ends a reader process while it gets ready."""

    def __call__(self, data: bytes) -> NDArray[np.uint8]:
        raise AssertionError

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (7,)
