"""The program of a reader process: photos in, digests, problems and pixels out.

    a pickled `ReaderJob`            ->
                                     <-  True, once it is ready
    a pickled list of locations      ->
                                     <-  a pickled list of `Answer`s, then the pixels of all of
                                         them, one photo after the other; or an exception
    ...                              ->  until the input ends

Nothing but this goes through its standard input and output. `process_readers.py` is the other end.
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
from pathlib import Path
from typing import BinaryIO

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
    """

    decode: Decoder
    cache: Path | None
    most_pixels: int


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
        _send(target, True, [])
        while True:
            _answer(target, look, pickle.load(source))


def _answer(
    target: BinaryIO, look: Callable[[Location], Examined | None], locations: Iterable[Location]
) -> None:
    try:
        found = [look(location) for location in locations]
    except Exception as error:
        _send(target, _to_be_raised(error), [])
        return
    pixels = [seen.pixels for seen in found if seen is not None and seen.pixels is not None]
    _send(target, [_in_brief(seen) for seen in found], pixels)


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
