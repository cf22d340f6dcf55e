"""What takes a while and cannot be counted, such as loading an engine: progress tells of it.

It happens deep below those who show it, perhaps in another thread, and only if it is needed at all.
So it is announced where it happens, and not handed down from there:

    with waiting.for_("loading TensorFlow"):
        import tensorflow
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str], None]
"""Is told what is waited for now; of an empty text when that is over."""

_lock = threading.Lock()
_listeners: list[Listener] = []
_open: list[str] = []
"""What is waited for, the innermost last."""


@contextmanager
def for_(words: str) -> Iterator[None]:
    """Announce that the block takes a while.

    Args:
        words: what it does, such as "loading TensorFlow".
    """
    with _lock:
        _open.append(words)
    _tell()
    try:
        yield
    finally:
        with _lock:
            _open.reverse()
            _open.remove(words)  # the last of them
            _open.reverse()
        _tell()


@contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Tell `listener` of what is waited for while the block runs, from whatever thread it is."""
    with _lock:
        _listeners.append(listener)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(listener)


def _tell() -> None:
    """The latest listener alone hears: it is the one whose progress is seen."""
    with _lock:
        listener = _listeners[-1] if _listeners else None
        words = _open[-1] if _open else ""
    if listener is not None:
        listener(words)
