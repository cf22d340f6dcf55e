"""A limit on how many pixels are decoded at the same time, whatever the number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class OverBudgetError(Exception):
    """An image is larger than this process may decode; not a fault of the image."""


class PixelBudget:
    """So many pixels may be in memory at once; who wants more than is left waits for the others.

    Args:
        pixels: the limit; an image of more is let in alone.

    Attributes:
        is_for_suspicious: this process is there for images that are too much for others.
    """

    is_for_suspicious = False

    def __init__(self, pixels: int) -> None:
        self._all = self._left = pixels
        self._most: int | None = None
        self._changed = Condition()

    def refuse_above(self, pixels: int) -> None:
        """From now on an image of more raises `OverBudgetError`."""
        self._most = pixels

    @property
    def refuses_some(self) -> bool:
        """Whether large images are left to another process."""
        return self._most is not None

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Hold so many while the block runs.

        Raises:
            OverBudgetError: more than `refuse_above` allows.
        """
        if self._most is not None and pixels > self._most:
            raise OverBudgetError
        share = min(pixels, self._all)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= share)
            self._left -= share
        try:
            yield
        finally:
            with self._changed:
                self._left += share
                self._changed.notify_all()
