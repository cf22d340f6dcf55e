"""Fair timing: alternate what is compared, and take the median of the ratios pair by pair."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """One line of the result table.

    Attributes:
        what: what was measured.
        reference: what it was measured against.
        rate: median rate of `what`, in `unit` per second.
        reference_rate: the same of the reference.
        ratio: median of the ratios, pair by pair; above 1, `what` is faster.
        unit: what is counted.
    """

    what: str
    reference: str
    rate: float
    reference_rate: float
    ratio: float
    unit: str


def compare(
    what: tuple[str, Callable[[], object]],
    references: Sequence[tuple[str, Callable[[], object]]],
    count: int,
    unit: str,
    repeats: int,
) -> list[Comparison]:
    """Time `what` and its references in turn, `repeats` times after one warm-up each.

    Args:
        what: name and function.
        references: likewise.
        count: how many `unit` one call works through.
        unit: what is counted.
        repeats: how often; the median is told.
    """
    contestants = [what, *references]
    for _, function in contestants:
        function()
    seconds: list[list[float]] = [[] for _ in contestants]
    for _ in range(repeats):
        for times, (_, function) in zip(seconds, contestants, strict=True):
            started = time.perf_counter()
            function()
            times.append(time.perf_counter() - started)
    ours = seconds[0]
    return [
        Comparison(
            what[0],
            name,
            count / statistics.median(ours),
            count / statistics.median(times),
            statistics.median(other / mine for other, mine in zip(times, ours, strict=True)),
            unit,
        )
        for (name, _), times in zip(references, seconds[1:], strict=True)
    ]
