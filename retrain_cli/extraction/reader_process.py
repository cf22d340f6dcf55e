"""The program of a reader process: photos in, digests, problems and pixels out.

    a pickled `ReaderJob`            ->
                                     <-  True, once it is ready
    a pickled list of locations      ->
                                     <-  a pickled `Reply`, and its pixels, one photo after the
                                         other; or an exception
    ...                              ->  until the input ends

Nothing but this goes through its standard input and output. Pixels lie in memory that both ends
share, where they have some and it holds them all; else they follow the reply.
`process_readers.py` is the other end.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from mmap import mmap
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import CacheError, RetrainError
from retrain_cli.extraction.heap import keep_freed_memory
from retrain_cli.extraction.readers import IsCached, Location, examine, is_never_cached
from retrain_cli.images.decode import Pixels, refuse_above
from retrain_cli.images.examine import Decoder, Examined
from retrain_cli.images.limits.budget import OverBudgetError


@dataclass(frozen=True)
class ReaderJob:
    """What a reader process has to know.

    Attributes:
        decode: bytes -> pixels; has to be picklable.
        cache: the cache file whose images need no pixels; None where there are none yet.
        most_pixels: an image of more is left to the other end.
        shared: descriptor and size in bytes of the memory that both ends share; None for none.
    """

    decode: Decoder
    cache: Path | None
    most_pixels: int
    shared: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found out of one file, but for the pixels.

    Attributes:
        digest: as in `Examined`.
        problem: as in `Examined`.
        shape: of the pixels that follow; None where there are none.
        is_left: it is too large to be decoded beside others: the other end has to do it.
    """

    digest: bytes | None = None
    problem: str | None = None
    shape: tuple[int, ...] | None = None
    is_left: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What was found out of some files.

    Attributes:
        answers: one a file, in their order.
        is_shared: their pixels are in the shared memory; else they follow.
    """

    answers: list[Answer]
    is_shared: bool


def main() -> None:
    """Answer until the input ends, or nobody listens any more."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # whoever prints must not get in between
    try:
        serve(source, target)
    except (EOFError, pickle.UnpicklingError):  # the other end is done, or gone in mid-sentence
        return
    except BrokenPipeError:
        os._exit(0)  # at an ordinary end Python would complain of what cannot be sent any more


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Do a job; see the module's picture.

    Raises:
        EOFError: the input has ended, as it does.
    """
    job: ReaderJob = pickle.load(source)
    keep_freed_memory()
    refuse_above(job.most_pixels)
    with ExitStack() as stack:
        is_cached: IsCached = is_never_cached
        if job.cache is not None:
            from retrain_cli.cache.store import BottleneckStore

            store = stack.enter_context(BottleneckStore(job.cache, read_only=True))
            is_cached = store.contains
        look = partial(_look, decode=job.decode, is_cached=is_cached)
        shared = None
        if job.shared is not None:
            shared = np.frombuffer(stack.enter_context(mmap(*job.shared)), np.uint8)
        _send(target, True, [])
        while True:
            _answer(target, shared, look, pickle.load(source))


def _answer(
    target: BinaryIO,
    shared: NDArray[np.uint8] | None,
    look: Callable[[Location], Examined | None],
    locations: Iterable[Location],
) -> None:
    try:
        found = [look(location) for location in locations]
    except Exception as error:
        _send(target, _to_be_raised(error), [])
        return
    pixels = [seen.pixels for seen in found if seen is not None and seen.pixels is not None]
    answers = [_in_brief(seen) for seen in found]
    if shared is not None and sum(photo.nbytes for photo in pixels) <= len(shared):
        _lay_down(pixels, shared)
        _send(target, Reply(answers, is_shared=True), [])
    else:
        _send(target, Reply(answers, is_shared=False), pixels)


def _lay_down(pixels: Iterable[Pixels], shared: NDArray[np.uint8]) -> None:
    start = 0
    for photo in pixels:
        shared[start : start + photo.nbytes] = photo.ravel()
        start += photo.nbytes


def _to_be_raised(error: Exception) -> Exception:
    """What the other end raises in place of an exception, which itself may not be picklable."""
    if isinstance(error, MemoryError):
        return MemoryError(str(error) or "in a reader process")
    if isinstance(error, RetrainError):
        return CacheError(str(error))  # photos that are bad are an answer, so it is the cache's
    return RuntimeError(f"a reader process has a fault:\n{traceback.format_exc()}")


def _look(location: Location, decode: Decoder, is_cached: IsCached) -> Examined | None:
    try:
        return examine(location, decode, is_cached)
    except OverBudgetError:
        return None


def _in_brief(seen: Examined | None) -> Answer:
    if seen is None:
        return Answer(is_left=True)
    shape = None if seen.pixels is None else seen.pixels.shape
    return Answer(seen.digest, seen.problem, shape)


def _send(target: BinaryIO, message: object, pixels: Iterable[Pixels]) -> None:
    pickle.dump(message, target)
    for photo in pixels:
        target.write(photo.data.cast("B"))
    target.flush()
