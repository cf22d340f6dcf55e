"""Photos through the readers, in order: those that are there, and those that come by and by."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from typing import Generic, TypeVar

from retrain_cli.extraction.fetching import fetched
from retrain_cli.extraction.readers import Location, Readers
from retrain_cli.images.examine import Examined
from retrain_cli.parallel import ahead_of_use

MANY_PHOTOS = 1000
"""From so many on it pays to start processes, which takes each of them a third of a second."""

_SECONDS_TO_FILL_A_BATCH = 0.05
"""How long a batch waits for one more photo: short, so that a slow pipe is answered at once."""

PhotoT = TypeVar("PhotoT")
"""A photo in the words of whoever wants its vector; only `locate` knows where it is."""

Read = tuple[PhotoT, Examined]
Locate = Callable[[PhotoT], Location]


@dataclass(frozen=True)
class Ready(Generic[PhotoT]):
    """Photos that are all there, such as the files of a folder: none has to be waited for.

    Attributes:
        photos: the photos; they may be listed while they are read.
        at_least: how many there are at least.
    """

    photos: Iterable[PhotoT]
    at_least: int

    @classmethod
    def of(cls, photos: Iterable[PhotoT] | Ready[PhotoT]) -> Ready[PhotoT]:
        """Count them, but only until it is known that they are many."""
        if isinstance(photos, Ready):
            return photos
        if isinstance(photos, Sequence):
            return cls(photos, len(photos))
        rest = iter(photos)
        first = list(islice(rest, MANY_PHOTOS))
        return cls(chain(first, rest), len(first))

    def __iter__(self) -> Iterator[PhotoT]:
        return iter(self.photos)


def read_ready(
    readers: Readers, photos: Iterable[PhotoT], locate: Locate[PhotoT], ahead: int
) -> Generator[Read[PhotoT], None, None]:
    """What each photo holds, in order; about `ahead` photos are read ahead of the caller."""
    at_once = readers.photos_at_once
    parts_ahead = max(ahead // at_once, 1) + readers.count
    with (
        closing(fetched(photos, locate)) as located,
        closing(ahead_of_use(_hand_to(readers), _parts(located, at_once), parts_ahead)) as done,
    ):
        for part, examined in done:
            yield from zip((photo for photo, _ in part), examined, strict=True)


def _hand_to(
    readers: Readers,
) -> Callable[[Sequence[tuple[PhotoT, Location]]], Future[list[Examined]]]:
    return lambda part: readers.submit([location for _, location in part])


def _parts(photos: Iterable[PhotoT], size: int) -> Iterator[Sequence[PhotoT]]:
    rest = iter(photos)
    while part := list(islice(rest, size)):
        yield part


def read_arriving(
    readers: Readers, photos: Iterable[PhotoT], locate: Locate[PhotoT], ahead: int
) -> Generator[Read[PhotoT] | None, None, None]:
    """As `read_ready`, for photos that may be waited for, each of which is read as it comes.

    None stands for a pause: all that came so far is read, and no other photo comes for a moment.
    An error of `photos` is raised after what came before it.
    """
    arrived: queue.Queue[_Arrived[PhotoT]] = queue.Queue(ahead)
    stopped = threading.Event()

    def feed() -> None:
        end: BaseException | None = None
        try:
            for photo in photos:
                if stopped.is_set():
                    return
                arrived.put((photo, readers.submit([locate(photo)])))
        except BaseException as error:
            end = error
        arrived.put(end)

    # A daemon, for it may hang in a read of standard input when the user has had enough.
    threading.Thread(target=feed, name="feeder", daemon=True).start()
    try:
        yield from _in_order(arrived)
    finally:
        stopped.set()
        _drain(arrived)


_Arrived = tuple[PhotoT, "Future[list[Examined]]"] | BaseException | None
"""A photo in the readers' hands; or how the photos ended, None where well."""


def _in_order(
    arrived: queue.Queue[_Arrived[PhotoT]],
) -> Generator[Read[PhotoT] | None, None, None]:
    is_pause = True  # nothing came yet, so there is nothing that could wait for more
    while True:
        try:
            item = arrived.get(timeout=None if is_pause else _SECONDS_TO_FILL_A_BATCH)
        except queue.Empty:
            is_pause = True
            yield None
            continue
        if isinstance(item, tuple):
            is_pause = False
            photo, future = item
            yield photo, future.result()[0]
            continue
        if item is not None:
            yield None
            raise item
        return


def _drain(arrived: queue.Queue[_Arrived[PhotoT]]) -> None:
    """Let a feeder that waits for room see that it is over."""
    while True:
        try:
            item = arrived.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, tuple):
            item[1].cancel()
