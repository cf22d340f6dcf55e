"""Threads: how many pay here, and work that is done a bounded way ahead."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def usable_processors() -> int:
    """Processors that this process may use (a container may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def ahead_of_use(
    submit: Callable[[T], Future[R]], items: Iterable[T], ahead: int
) -> Generator[tuple[T, R], None, None]:
    """`(item, its result)` in order, at most `ahead` items under way; the rest is cancelled."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            waiting.append((item, submit(item)))
            if len(waiting) >= ahead:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


def bounded_map(
    pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], ahead: int
) -> Generator[tuple[T, R], None, None]:
    """`(item, function(item))` in order, at most `ahead` items under way; the rest is cancelled."""
    return ahead_of_use(lambda item: pool.submit(function, item), items, ahead)
