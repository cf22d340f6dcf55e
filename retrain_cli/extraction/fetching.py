"""Photos of object storage on their way to the readers: many requests are in flight at once.

A request takes long and costs next to nothing here, so there are many more of them than readers.
What is fetched lies in memory, a bounded number of photos, and never on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import groupby
from typing import TypeVar

from retrain_cli.extraction.readers import Location
from retrain_cli.images.examine import load
from retrain_cli.parallel import ahead_of_use
from retrain_cli.storage import buckets
from retrain_cli.storage.urls import is_url

PhotoT = TypeVar("PhotoT")


def fetched(
    photos: Iterable[PhotoT], locate: Callable[[PhotoT], Location]
) -> Generator[tuple[PhotoT, Location], None, None]:
    """`(photo, where it is)` in order, where bytes stand for each URL; files are left as they are.

    Raises:
        StorageError: the server is lost.
    """

    def request(located: tuple[PhotoT, Location]) -> Future[Location]:
        return requests.submit(load, str(located[1]))

    with ThreadPoolExecutor(
        buckets.REQUESTS, "request"
    ) as requests:  # it starts threads as they are used
        located = ((photo, locate(photo)) for photo in photos)
        for is_remote, some in groupby(located, _is_remote):
            if not is_remote:
                yield from some
                continue
            with closing(ahead_of_use(request, some, buckets.REQUESTS)) as found:
                for (photo, _), location in found:
                    yield photo, location


def _is_remote(located: tuple[object, Location]) -> bool:
    return isinstance(located[1], str) and is_url(located[1])
