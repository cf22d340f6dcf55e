"""What the machine refuses, in one line: no room, no memory, no files, no streams, no folder."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import Final, NoReturn

from retrain_cli.errors import RetrainError

EXIT_REFUSED: Final = 3

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FEW_FILES = (errno.EMFILE, errno.ENFILE)
_LITTLE: Final = 1 << 30  # bytes of address space
_LEAST: Final = 1 << 29
_NO_MEMORY_WORDS = ("failed to map segment", "cannot allocate memory", "can't start new thread")


class _ClosedStream(io.TextIOBase):
    """Standard output where the program was started without one."""

    def write(self, text: str) -> NoReturn:
        raise OSError(errno.EBADF, "it is closed", "standard output")


def open_missing_streams() -> None:
    """Give a process that was started without standard streams some that lead nowhere.

    Else the next file that is opened gets their numbers, and what is printed goes into it. A result
    that cannot be printed is still an error.
    """
    for descriptor, how in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, how)  # takes the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = _ClosedStream()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115


def spare_address_space() -> None:
    """Where little of it is allowed, have OpenBLAS take room for one thread and not for each.

    To be called before NumPy is imported.

    Raises:
        RetrainError: so little is allowed that OpenBLAS ends the process, or asks for ever.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if allowed == resource.RLIM_INFINITY or allowed >= _LITTLE:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if allowed < _LEAST:
        raise RetrainError(
            f"{_LEAST >> 20} MiB of address space must be there for the libraries, and the system "
            f"allows {allowed >> 20}: raise `ulimit -v`"
        )


def drop_output() -> None:
    """Forget what is still to be printed to standard output, which takes nothing any more."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def refusal(fault: BaseException) -> str:
    """What to tell of an exception that the machine is to blame for; empty of all others."""
    if isinstance(fault, MemoryError) or _speaks_of_memory(fault):
        return (
            "there must be memory for the work, and the system gives no more "
            f"({_reason(fault)}): close other programs, raise `ulimit -v`, or lower --batch-size "
            "and --workers"
        )
    return _refused_by_system(fault) if isinstance(fault, OSError) else ""


def refusal_beneath(error: BaseException) -> str:
    """What to tell in place of an error of ours that only follows from this; empty else.

    Whoever meets a file that cannot be opened advises to check that file, which helps nobody where
    none can be opened any more, or where memory ends.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))  # some libraries raise an exception from itself
        is_it = isinstance(cause, OSError) and cause.errno in _FEW_FILES
        if is_it or isinstance(cause, MemoryError) or _speaks_of_memory(cause):
            return refusal(cause)
        cause = cause.__cause__
    return ""


def _refused_by_system(fault: OSError) -> str:
    if _is_without_folder():
        return "the folder that this runs in must exist, and it was removed: cd to one that does"
    where = fault.filename if isinstance(fault.filename, str | bytes) else ""
    name = os.fsdecode(where) or "a file, or standard output,"
    if fault.errno in _FULL:
        return f"{name} must be written and could not be ({_reason(fault)}): free some space"
    if fault.errno in _FEW_FILES:
        return (
            f"more files must be open at a time than this process may ({_reason(fault)}): raise "
            "`ulimit -n`, or lower --workers"
        )
    if "temporary directory" in str(fault):
        return (
            "a folder for temporary files must be there, and none can be written: free some space "
            "or set TMPDIR to one that can"
        )
    return f"{name} must be read or written and could not be ({_reason(fault)}): check it"


def _speaks_of_memory(fault: BaseException) -> bool:
    if isinstance(fault, OSError) and fault.errno == errno.ENOMEM:
        return True
    is_telling = isinstance(fault, ImportError | RuntimeError | OSError | RetrainError)
    return is_telling and any(words in str(fault).lower() for words in _NO_MEMORY_WORDS)


def _is_without_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - the fault itself is looked for
    except OSError:
        return True
    return False


def _reason(fault: BaseException) -> str:
    if isinstance(fault, RetrainError):  # whose sentence is about what it took this for
        return next(words for words in _NO_MEMORY_WORDS if words in str(fault).lower())
    lines = (getattr(fault, "strerror", None) or str(fault) or type(fault).__name__).splitlines()
    return str(lines[0])
