"""The C heap, told to keep what is freed: each photo needs the same few buffers again."""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_LARGEST_BUFFER = 32 << 20
"""Bytes; what glibc allows at most. Larger buffers are returned to the system when freed."""
_KEPT = 256 << 20
"""Bytes of free memory at the end of a heap above which it is returned."""


@cache
def keep_freed_memory() -> bool:
    """Have malloc keep freed buffers for the next photo; once a process.

    By default glibc returns buffers of a photo's size to the system each time, and the system
    hands them out again page by page: a third of the time of decoding a small JPEG.

    Returns:
        Whether this C library can be told so; others are left as they are.
    """
    return _told(_MMAP_THRESHOLD, _LARGEST_BUFFER) and _told(_TRIM_THRESHOLD, _KEPT)


@cache
def share_heaps(most: int) -> bool:
    """Have all threads share so many heaps, before they begin; once a process.

    glibc makes up to eight a processor, and each keeps what its threads once needed. Where threads
    come and go memory grows for long, until each heap has seen the largest photos.

    Returns:
        As `keep_freed_memory`.
    """
    return _told(_ARENA_MAX, most)


def _told(option: int, value: int) -> bool:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(option, value))
