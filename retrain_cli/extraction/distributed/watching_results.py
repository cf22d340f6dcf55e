"""Results of somebody else's work, watched: whoever does not get on is given up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_LOOK_S = 0.2


def watched(results: Iterable[T], seconds: float, give_up: Callable[[], Exception]) -> Iterator[T]:
    """The results, each as it comes; Ctrl-C is heeded while waiting.

    Args:
        results: are taken in a thread of their own, which may hang.
        seconds: without a result after which it is over; 0 for never.
        give_up: what to raise then.

    Raises:
        Exception: what `results` raise, or `give_up` returns.
    """
    came: queue.Queue[T | _End] = queue.Queue(maxsize=64)

    def take() -> None:
        end = _End(None)
        try:
            for result in results:
                came.put(result)
        except BaseException as error:
            end = _End(error)
        came.put(end)

    threading.Thread(target=take, name="results", daemon=True).start()
    waited = 0.0
    while True:
        try:
            item = came.get(timeout=_LOOK_S)
        except queue.Empty:
            waited += _LOOK_S
            if seconds and waited >= seconds:
                raise give_up() from None
            continue
        waited = 0.0
        if isinstance(item, _End):
            if item.error is not None:
                raise item.error
            return
        yield item


class _End:
    """How the results ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
