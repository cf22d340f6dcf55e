"""Decode a photo that may take much memory or long in a process that may take neither.

    decode_image -> cost_of: suspicious -> limited.call -> decoding_process.py -> decode_image there

One process for all threads, started when it is first needed: photos of that kind are few, and one
at a time keeps their memory together in bounds. What goes over its limits is bad, with the reason.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any, Final

from retrain_cli.errors import ImageError

PHOTO_TIMEOUT: Final = 20.0
"""Seconds of processor time for a photo, so that a busy machine makes none bad; of the largest that
are allowed a WebP takes most, 10 s."""

_LONGEST: Final = 1e7
"""Seconds, four months: the system's clocks take no number above some limit."""

_PATIENCE: Final = 6
"""So many times that by the clock, for what waits instead of working."""

MEMORY: Final = 4 << 30
"""Bytes for a photo; of the largest that are allowed a JPEG 2000 takes most, 3.3 GB."""

_PROGRAM: Final = (
    "import sys; sys.path[:] = {path!r}; "
    "from retrain_cli.images.limits.decoding_process import main; main({memory})"
)
_ITS_END = (EOFError, OSError, pickle.UnpicklingError)


class Work:
    """What photos are decoded for, by threads that `join` it, until it is over.

    Attributes:
        is_over: whether nobody wants its photos any more.
    """

    def __init__(self) -> None:
        self.is_over = False

    def join(self) -> None:
        """From now on this thread decodes for this work."""
        _THREAD.work = self


_THREAD = threading.local()


class DecodingProcess:
    """This end of the process; any thread may call it, and waits for the others."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()
        self._at: Work | None = None

    def call(self, function: str, data: bytes, arguments: tuple[Any, ...], seconds: float) -> Any:
        """What a function of `decode.py` makes of an image.

        Args:
            function: its name.
            data: the image file's bytes.
            arguments: further ones.
            seconds: of processor time that it may take; of the clock's where those cannot be told.
                0 for no limit.

        Raises:
            ImageError: the image is bad, took too long or too much memory, or all were given up.
        """
        seconds = min(seconds, _LONGEST)
        work = getattr(_THREAD, "work", None) or Work()
        with self._one_at_a_time:
            _check_wanted(work)
            process = self._running()
            late = threading.Event()
            patience = _PATIENCE if hasattr(signal, "setitimer") else 1
            clock = threading.Timer(patience * seconds, _end, (process, late))
            clock.daemon = True
            try:
                self._at = work
                _check_wanted(work)  # `give_up` may not have seen that this one is at it
                if seconds:
                    clock.start()
                is_good, answer = _ask(process, (function, data, arguments, seconds))
            except _ITS_END as error:
                code = self._clear()
                raise ImageError(_why(late.is_set(), work.is_over, code, seconds)) from error
            except KeyboardInterrupt:  # its answer would be taken for that to the next question
                process.kill()
                self._clear()
                raise
            finally:
                self._at = None
                clock.cancel()
        if is_good:
            return answer
        raise ImageError(answer)

    def give_up(self, work: Work) -> None:
        """End what is being decoded for this work, and let none of its threads begin again."""
        work.is_over = True
        process = self._process
        if process is not None and self._at is work:
            process.kill()
        self._end_idle()

    def end(self) -> None:
        """End it, whatever it is at."""
        process = self._process
        if process is not None:
            process.kill()
        self._end_idle()

    def _end_idle(self) -> None:
        if self._one_at_a_time.acquire(timeout=1):
            self._clear()
            self._one_at_a_time.release()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._clear()
        if self._process is None:
            program = _PROGRAM.format(path=sys.path, memory=MEMORY)
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", program],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
                )
            except OSError as error:
                raise ImageError(f"it needs a process of its own, which fails: {error}") from error
        return self._process

    def _clear(self) -> int:
        """Forget a process that has ended or shall; returns how it ended."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            process.wait(1)  # it has closed its end, so it is about to be gone
        process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return code


def _ask(process: subprocess.Popen[bytes], question: object) -> tuple[bool, Any]:
    pipes: Any = process
    pickle.dump(question, pipes.stdin, pickle.HIGHEST_PROTOCOL)
    pipes.stdin.flush()
    is_good, answer = pickle.load(pipes.stdout)
    return bool(is_good), answer


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _check_wanted(work: Work) -> None:
    if work.is_over:
        raise ImageError(_GIVEN_UP)


_GIVEN_UP = "given up, for the command ends"


def _why(is_late: bool, is_given_up: bool, code: int, seconds: float) -> str:
    if is_given_up or code in (-signal.SIGINT, -signal.SIGTERM):
        return _GIVEN_UP
    if is_late or code == -getattr(signal, "SIGPROF", 0):
        return f"it takes more than {seconds:g} s to decode (--photo-timeout)"
    if os.name == "posix" and code == -signal.SIGKILL:
        return "its process was killed: too little memory?"
    return f"its decoder crashed ({signal.Signals(-code).name if code < 0 else code})"


_PROCESS = DecodingProcess()
call = _PROCESS.call
give_up = _PROCESS.give_up
atexit.register(_PROCESS.end)
