"""Chance that falls the same way on every machine.

NumPy may change its distributions between versions; what it keeps is the bit stream of PCG64 and
the doubles made from it. So only `Generator.random` is used, and everything else is made from that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from retrain_cli.samples.fields import Field

Item = TypeVar("Item")


class Dice:
    """A reproducible source of chance, told apart by the numbers that it is seeded with."""

    def __init__(self, *words: int) -> None:
        self._generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(words)))

    def between(self, low: float, high: float) -> float:
        """A number in [low, high), uniformly."""
        return low + (high - low) * float(self._generator.random())

    def around(self, middle: float, spread: float) -> float:
        """A number within `spread` of `middle`, near it more often than far (triangular)."""
        return middle + spread * (self.between(0, 1) - self.between(0, 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.between(0, 1) < probability

    def count(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(self.between(low, high + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely as the others."""
        return items[self.count(0, len(items) - 1)]

    def field(self, *shape: int) -> Field:
        """An array of the given shape, float32 in [0, 1)."""
        return self._generator.random(shape).astype(np.float32)
