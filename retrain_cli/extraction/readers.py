"""Readers, who read, digest and decode photos: threads, in the simplest case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol

from retrain_cli.images.examine import Decoder, Examined, examine_bytes, examine_file
from retrain_cli.images.limits.limited import Work, give_up

if TYPE_CHECKING:  # a reader process has no use for it while the cache is empty
    from retrain_cli.cache.store import BottleneckStore

ReaderKind = Literal["auto", "threads", "processes"]

Location = str | bytes | Examined
"""Where a photo is to be had: its path or URL, its bytes, or all that can be told without them."""

IsCached = Callable[[bytes], bool]
"""Whether the image of a digest needs no pixels."""


class Readers(Protocol):
    """Readers of one kind, at work inside `with`; whatever they are at ends with it.

    Attributes:
        count: how many there are.
        photos_at_once: how many photos are best handed to one of them together.
    """

    count: int
    photos_at_once: int

    def __enter__(self) -> Readers:
        """Start them."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop them without waiting for what nobody takes any more."""
        ...

    def submit(self, locations: Sequence[Location]) -> Future[list[Examined]]:
        """Have one of them look into some photos; what each holds, in their order.

        A photo that cannot be used is no error: its `Examined` says why.
        """
        ...


class ThreadReaders:
    """Threads of this process: there at once, but Python lets only one of them in at a time.

    They decode side by side, for Pillow and its like let go of Python while they work. With small
    photos the way in and out of Python takes longer than the decoding.

    Args:
        decode: bytes -> pixels; raises ImageError.
        store: the cache whose images need no pixels; None for none.
        count: how many threads.
    """

    photos_at_once = 1

    def __init__(self, decode: Decoder, store: BottleneckStore | None, count: int) -> None:
        self._decode = decode
        # An empty cache needs not be asked for each photo.
        self._is_cached = store.contains if store is not None and len(store) else is_never_cached
        self.count = count
        self._work = Work()
        self._pool = ThreadPoolExecutor(count, "reader", self._work.join)

    def __enter__(self) -> ThreadReaders:
        return self

    def __exit__(self, *_: object) -> None:
        give_up(self._work)
        self._pool.shutdown(cancel_futures=True)

    def submit(self, locations: Sequence[Location]) -> Future[list[Examined]]:
        """Have one of them look into some photos."""
        return self._pool.submit(self._examine, locations)

    def _examine(self, locations: Sequence[Location]) -> list[Examined]:
        return [examine(location, self._decode, self._is_cached) for location in locations]


def examine(location: Location, decode: Decoder, is_cached: IsCached) -> Examined:
    """Look into one photo; never raises for what is wrong with it."""
    if isinstance(location, bytes):
        return examine_bytes(location, decode, is_cached)
    if isinstance(location, Examined):
        return location
    return examine_file(location, decode, is_cached)


def is_never_cached(digest: bytes) -> bool:
    """Of an empty cache, or none."""
    return False
