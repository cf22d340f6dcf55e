"""Readers that are processes, each with a Python of its own: nobody waits for a lock.

Each process is served by a thread of this one, which hands it the names of some files at a time and
takes their pixels from memory that the two share, where the system has such memory without a name;
else from a pipe. Some tens of photos at a time, for those threads share one lock of Python's: with
three at a time, 16 processes waited for it half of their time. The processes are plain programs
(`reader_process.py`) and not those of `multiprocessing`, which would import the user's main program
once more in each.

A decoder that crashes takes its process with it and nothing else: the process is replaced, and the
photo is bad.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from itertools import accumulate
from mmap import mmap
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.store import BottleneckStore
from retrain_cli.errors import RetrainError, setting
from retrain_cli.extraction.reader_process import Answer, ReaderJob
from retrain_cli.extraction.readers import Location, examine, is_never_cached
from retrain_cli.images.decode import MAX_PIXELS, Pixels
from retrain_cli.images.examine import Decoder, Examined
from retrain_cli.images.limits.limited import Work, give_up

_PIPE_BYTES = 1 << 20
"""What a pipe holds, and about what is asked for at a time, so that a process need not wait."""

_CAN_SHARE = sys.platform == "linux"
_SHARED_BYTES = 9 << 20
"""Most memory that is shared with a process: 32 photos of 299 x 299 pixels."""

_MOST_PHOTOS = 32
_LEAST_PIXELS = 25_000_000
"""A process decodes images of at least so many pixels (100 MB) by itself; cameras have as many."""

_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy multiplies nothing there, and its threads are a quarter of what starting takes."""

_ITS_END = (EOFError, OSError, pickle.UnpicklingError)
"""What this end of the pipes meets where the other one is gone."""

_PROGRAM = (
    "import sys; sys.path[:] = {path!r}; "
    "from retrain_cli.extraction.reader_process import main; main()"
)


class ReaderError(RetrainError):
    """A reader process does not start."""


class ProcessReaders:
    """Processes that read, each of which is replaced when a decoder takes it along.

    Args:
        decode: bytes -> pixels; raises ImageError; has to be picklable.
        store: the cache whose images need no pixels; None for none.
        pixel_bytes: bytes of a decoded photo.
        count: how many processes.
    """

    def __init__(
        self, decode: Decoder, store: BottleneckStore | None, pixel_bytes: int, count: int
    ) -> None:
        self.count = count
        can_share = _CAN_SHARE and pixel_bytes <= _SHARED_BYTES
        at_once = (_SHARED_BYTES if can_share else _PIPE_BYTES) // pixel_bytes
        self.photos_at_once = min(_MOST_PHOTOS, max(1, at_once))
        self._decode = decode
        used = store if store is not None and len(store) else None
        self._is_cached = used.contains if used else is_never_cached
        job = ReaderJob(
            decode, used.path if used else None, max(_LEAST_PIXELS, MAX_PIXELS // count)
        )
        shared = self.photos_at_once * pixel_bytes if can_share else 0
        self._processes = [ReaderProcess(job, shared) for _ in range(count)]
        self._idle: SimpleQueue[ReaderProcess] = SimpleQueue()
        self._work = Work()
        self._threads = ThreadPoolExecutor(count, "reader", self._work.join)

    def __enter__(self) -> ProcessReaders:
        try:
            for process in self._processes:
                process.start()
                self._idle.put(process)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        give_up(self._work)
        self._stop_all()
        self._threads.shutdown(cancel_futures=True)
        self._stop_all()  # one may have been replaced meanwhile

    def _stop_all(self) -> None:
        for process in self._processes:
            process.stop()

    def submit(self, locations: Sequence[Location]) -> Future[list[Examined]]:
        """Have one of them look into some photos.

        The result raises ReaderError where a process does not start.
        """
        return self._threads.submit(self._examine, list(locations))

    def _examine(self, locations: list[Location]) -> list[Examined]:
        process = self._idle.get()
        try:
            return self._ask(process, locations)
        finally:
            self._idle.put(process)

    def _ask(self, process: ReaderProcess, locations: list[Location]) -> list[Examined]:
        try:
            found = process.examine(locations)
        except _ITS_END:
            if self._work.is_over:
                return [Examined() for _ in locations]  # nobody takes them any more
            problem = process.restart()
            if len(locations) == 1:
                return [Examined(problem=problem)]
            return [seen for location in locations for seen in self._ask(process, [location])]
        return [
            self._examine_here(location) if seen is None else seen
            for location, seen in zip(locations, found, strict=True)
        ]

    def _examine_here(self, location: Location) -> Examined:
        """A very large image: all of those share this process's budget of memory."""
        if self._work.is_over:
            return Examined()
        return examine(location, self._decode, self._is_cached)


class ReaderProcess:
    """This end of a reader process.

    Args:
        job: what it does.
        shared_bytes: size of the memory to share with it; 0 for none.
    """

    def __init__(self, job: ReaderJob, shared_bytes: int = 0) -> None:
        self._job = job
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False
        self._shared_bytes = shared_bytes
        self._shared = np.empty(0, np.uint8)

    def start(self) -> None:
        """Start it; it gets ready meanwhile.

        Raises:
            ReaderError: the system does not let it start.
        """
        with _shared_memory(self._shared_bytes) as shared:
            self._process = _start_program([] if shared is None else [shared[0]])
        job = self._job
        if shared is not None:
            descriptor, self._shared = shared
            job = replace(job, shared=(descriptor, len(self._shared)))
        _enlarge(self._process.stdout)
        self._is_ready = False
        with suppress(OSError):  # its end is told when it is asked
            self._send(job)

    def examine(self, locations: list[Location]) -> list[Examined | None]:
        """What the photos hold; None for images that are too large for it.

        Raises:
            EOFError, OSError, UnpicklingError: the process has ended.
            ReaderError: it never got ready.
            CacheError: it cannot read the cache.
            MemoryError: it has none left.
            RuntimeError: it has a fault, which is ours.
        """
        if not self._is_ready:
            self._wait_until_ready()
        self._send(locations)
        reply = self._receive()
        if isinstance(reply, Exception):
            raise reply
        shapes = [answer.shape for answer in reply.answers if answer.shape is not None]
        pixels = iter(self._take_shared(shapes) if reply.is_shared else self._take_piped(shapes))
        return [self._complete(answer, pixels) for answer in reply.answers]

    def restart(self) -> str:
        """Replace a process that has ended; returns what is wrong with the photo it was at."""
        assert self._process is not None
        code = self._process.wait()
        self.stop()
        self.start()
        if os.name == "posix" and code == -signal.SIGKILL:
            return "its process was killed: too little memory?"
        return f"its decoder crashed ({signal.Signals(-code).name if code < 0 else code})"

    def stop(self) -> None:
        """End it, whatever it is at."""
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what was not sent needs not be
                if pipe is not None:
                    pipe.close()

    def _wait_until_ready(self) -> None:
        try:
            self._is_ready = self._receive() is True
        except _ITS_END as error:
            raise ReaderError(f"{_NO_START}: {_REMEDY}") from error

    @staticmethod
    def _complete(answer: Answer, pixels: Iterator[Pixels]) -> Examined | None:
        if answer.is_left:
            return None
        taken = None if answer.shape is None else next(pixels)
        return Examined(answer.digest, answer.problem, taken)

    def _take_shared(self, shapes: Sequence[tuple[int, ...]]) -> list[Pixels]:
        """Copies of the images there: the process lays the next ones over them."""
        sizes = [math.prod(shape) for shape in shapes]
        block = self._shared[: sum(sizes)].copy()
        ends = list(accumulate(sizes))
        return [
            block[end - size : end].reshape(shape)
            for end, size, shape in zip(ends, sizes, shapes, strict=True)
        ]

    def _take_piped(self, shapes: Sequence[tuple[int, ...]]) -> list[Pixels]:
        images = [np.empty(shape, np.uint8) for shape in shapes]
        for pixels in images:
            if self._pipes.stdout.readinto(pixels.data.cast("B")) < pixels.nbytes:
                raise EOFError
        return images

    def _send(self, message: object) -> None:
        pickle.dump(message, self._pipes.stdin)
        self._pipes.stdin.flush()

    def _receive(self) -> Any:
        return pickle.load(self._pipes.stdout)

    @property
    def _pipes(self) -> Any:
        return self._process


def _start_program(inherited: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a reader process that inherits some descriptors.

    Raises:
        ReaderError: the system does not let it start.
    """
    try:
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT,
            pass_fds=inherited,
            # Ctrl-C is for this process to handle: POSIX, Windows
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
    except OSError as error:
        raise ReaderError(f"{_NO_START} ({error}): {_REMEDY}") from error


@contextmanager
def _shared_memory(size: int) -> Iterator[tuple[int, NDArray[np.uint8]] | None]:
    """Memory without a name, and its descriptor for a child that is started in the block.

    The system takes the memory back with its last user. None for 0 bytes, and where there is none.
    """
    with ExitStack() as stack:
        try:
            shared = _share(size, stack) if size else None
        except OSError:
            shared = None
        yield shared


def _share(size: int, stack: ExitStack) -> tuple[int, NDArray[np.uint8]]:
    descriptor = os.memfd_create("pixels")
    stack.callback(os.close, descriptor)
    os.posix_fallocate(descriptor, 0, size)  # a write into a mere promise would crash
    return descriptor, np.frombuffer(mmap(descriptor, size), np.uint8)


_NO_START = "photos are read by processes of their own, and one does not start"
_REMEDY = f"{setting('readers', 'threads')} goes on without them"


def _enlarge(pipe: Any) -> None:
    """Let a pipe hold the pixels of several photos, where the system can be told so."""
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except (ImportError, AttributeError, OSError):
        return
