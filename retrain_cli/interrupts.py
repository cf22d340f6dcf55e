"""Ctrl-C and other requests to end: what ends at once, and what is finished first.

Left alone, Ctrl-C raises an exception wherever the program happens to be, and some libraries
swallow it there. So work that must not be lost is done inside `held`, where a request only waits;
`check` raises it at points where everything is in order. The command line has SIGTERM and SIGHUP
treated in the same way, and lets a second Ctrl-C end the process whatever it is at (`heed`).

Signals arrive in the main thread alone. In other threads all of this does nothing.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

_REQUESTS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interruption(KeyboardInterrupt):
    """Somebody asked the program to end.

    Args:
        number: of the signal.
        kept: what is kept, in words; empty where nobody has said yet.
    """

    def __init__(self, number: int = signal.SIGINT, kept: str = "") -> None:
        super().__init__(kept)
        self.number, self.kept = number, kept

    @property
    def exit_code(self) -> int:
        """As the shell reports a program that a signal ended: 130, 143 or 129."""
        return 128 + self.number


@dataclass
class _Process:
    """What this process was asked.

    Attributes:
        asked: number of the signal that came first; None while none has come.
        raised: whether it was raised, or taken by whoever finished the work.
        holds: how many `held` blocks are open.
        is_watched: whether a thread sees to the second Ctrl-C (`heed`).
        on_request: is told of the first request, and whether it has to wait.
    """

    asked: int | None = None
    raised: bool = False
    holds: int = 0
    is_watched: bool = False
    on_request: Callable[[int, bool], None] = lambda number, waits: None


_process = _Process()


def _arrive(number: int, frame: FrameType | None) -> None:
    """The handler of all requests to end."""
    if _process.asked is None:
        _process.asked, _process.raised = number, False
        _process.on_request(number, _process.holds > 0)
        if not _process.holds:
            check()
    elif number == signal.SIGINT and not _process.is_watched:
        raise Interruption(number)  # who asks for the second time does not want to wait


def check() -> None:
    """Raise a request that waits; for points where no work is lost.

    Raises:
        Interruption: there is one.
    """
    if _process.asked is not None and not _process.raised and _in_main_thread():
        _process.raised = True
        raise Interruption(_process.asked)


def is_asked() -> bool:
    """Whether a request waits; for work that has to be ended before `check` can raise it."""
    return _process.asked is not None and not _process.raised


def taken() -> int | None:
    """The number of the signal that came inside `held`, to be reported by the caller; else None."""
    if _process.asked is None or not _in_main_thread():
        return None
    _process.raised = True
    return _process.asked


def interruption() -> Interruption:
    """What to raise where work was ended early by a request that `check` has raised already."""
    return Interruption(taken() or signal.SIGINT)


@contextmanager
def held() -> Iterator[None]:
    """Let requests to end wait for `check`, for `taken`, or for the end of the block.

    Raises:
        Interruption: at the end, where one waits that nobody has taken.
    """
    if not _in_main_thread():
        yield
        return
    with _installed_for_a_while():
        _process.holds += 1
        try:
            yield
        finally:
            _process.holds -= 1
        if not _process.holds:
            check()


@contextmanager
def heeded() -> Iterator[None]:
    """Inside `held`: slow work that loses nothing, where a request ends it at once.

    Raises:
        Interruption: there is a request, from before or from now.
    """
    if not _in_main_thread():
        yield
        return
    holds, _process.holds = _process.holds, 0
    try:
        check()
        yield
        if _process.asked is not None:  # a library swallowed it, as imports of TensorFlow may
            raise Interruption(_process.asked)
    finally:
        _process.holds = holds


@contextmanager
def _installed_for_a_while() -> Iterator[None]:
    """For a notebook, where no `heed` has put the handler in place."""
    if _process.holds or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _arrive)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _process.asked = None


@contextmanager
def keeping(words: Callable[[], str]) -> Iterator[None]:
    """Let an interruption of the block say what is kept; the innermost one knows best."""
    try:
        yield
    except KeyboardInterrupt as stop:
        if isinstance(stop, Interruption) and stop.kept:
            raise
        number = stop.number if isinstance(stop, Interruption) else signal.SIGINT
        raise Interruption(number, words()) from stop


def heed(on_request: Callable[[int, bool], None], before_leaving: Callable[[], None]) -> None:
    """Treat the requests to end of a whole process as this module says.

    What the process was started to ignore (`nohup`, a job in the background) stays ignored.

    Args:
        on_request: is told the number of the first signal, and whether it has to wait; from a
            signal handler, so it must be short.
        before_leaving: is called by another thread when a second Ctrl-C is about to end the
            process.
    """
    _process.on_request = on_request
    numbers = [number for number in _REQUESTS if signal.getsignal(number) != signal.SIG_IGN]
    if not numbers:
        return
    # The bytes arrive at once, also while the main thread is inside a library's code, where no
    # handler of Python can run.
    ours, theirs = os.pipe()
    if os.name == "posix":
        os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    watched = (ours, frozenset(numbers), before_leaving)
    threading.Thread(target=_watch, args=watched, name="interrupts", daemon=True).start()
    _process.is_watched = True
    for number in numbers:
        signal.signal(number, _arrive)


def _watch(source: int, numbers: frozenset[int], before_leaving: Callable[[], None]) -> None:
    """End the process at a Ctrl-C that is not the first request."""
    asked = False
    while arrived := os.read(source, 64):
        for number in arrived:
            if asked and number == signal.SIGINT:
                before_leaving()
                os._exit(128 + number)
            asked = asked or number in numbers


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
