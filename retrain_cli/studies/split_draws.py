"""The split of each repeat of a study: drawn anew, by the photos' content, from the repeat's seed.

Repeats that share one split tell nothing of what another split would do: their interval holds the
figures of other splits of the same photos 75% of the time (measured). What folders give stays.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import SPLITS, SplitItem, assign_splits


class SplitDraws:
    """Splits by seed; that of seed 0 is the one of `train`. Safe between threads.

    Args:
        items: the photos.
        validation_percentage: see `assign_splits`.
        testing_percentage: likewise.
    """

    def __init__(
        self, items: Sequence[SplitItem], validation_percentage: float, testing_percentage: float
    ) -> None:
        self._items = items
        self._percentages = (validation_percentage, testing_percentage)
        self._drawn: dict[int, NDArray[np.uint8]] = {}
        self._lock = threading.Lock()

    @property
    def vary_test(self) -> bool:
        """Whether the test photos differ between seeds: not so where a folder gives them."""
        return all(item.given != "test" for item in self._items)

    def codes(self, seed: int) -> NDArray[np.uint8]:
        """Index into `SPLITS` of each photo, `(n_images,) uint8`."""
        with self._lock:
            if seed not in self._drawn:
                splits = assign_splits(self._items, *self._percentages, draw=seed)
                self._drawn[seed] = np.array([SPLITS.index(one) for one in splits], np.uint8)
            return self._drawn[seed]

    def fingerprint(self) -> str:
        """Digest of what stays together and what is given, in whatever order the photos are."""
        marks = (
            (item.digest.hex(), item.label, item.group, item.given, (item.founder or b"").hex())
            for item in self._items
        )
        text = "\n".join(sorted(map(repr, marks))).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=8).hexdigest()
