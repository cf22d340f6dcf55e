"""The program that decodes suspicious photos: bytes in, pixels or a reason out, in bounds.

    a pickled (function, data, arguments, seconds)  ->
                                                    <-  a pickled (True, pixels) or (False, reason)

Nothing but this goes through its standard input and output; `limited.py` is the other end.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.errors import ImageError
from retrain_cli.images import decode

_FUNCTIONS = ("decode_image", "load_rgb")


def main(memory: int) -> None:
    """Answer until the input ends.

    Args:
        memory: bytes that a photo may take.
    """
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whoever prints must not get in between
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C is heeded at once, amid a decoder
    _limit(memory)
    decode.decode_here()
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):
        while True:
            function, data, arguments, seconds = pickle.load(source)
            _set_clock(seconds)
            answer = _answer(function, data, arguments)
            _set_clock(0)
            pickle.dump(answer, target, pickle.HIGHEST_PROTOCOL)
            target.flush()
            del data, answer


def _answer(function: str, data: bytes, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    assert function in _FUNCTIONS
    try:
        return True, np.asarray(getattr(decode, function)(data, *arguments))
    except ImageError as error:
        return False, str(error)
    except MemoryError:
        return False, "not enough memory to decode it"


def _limit(memory: int) -> None:
    """Bound the address space, and be the first to go where memory ends; where that is possible."""
    try:
        import resource
    except ImportError:  # Windows
        return
    with suppress(OSError, ValueError):
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        limit = now + memory
        if most == resource.RLIM_INFINITY or limit < most:
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    with suppress(OSError):  # decoders write lines of their own
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _set_clock(seconds: float) -> None:
    """Have the system end this process after so much processor time; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)
