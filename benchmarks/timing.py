"""Fair timing: alternate what is compared, and take the median of the ratios round by round."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrain_cli.parallel import usable_processors


@dataclass(frozen=True)
class Contestant:
    """Something to time.

    Attributes:
        name: for the table.
        run: does the work once.
        count: how many units `run` works through.
    """

    name: str
    run: Callable[[], object]
    count: int


@dataclass(frozen=True)
class Comparison:
    """One line of the result table.

    Attributes:
        what: what was measured.
        reference: what it was measured against.
        rate: median rate of `what`, in `unit` per second.
        reference_rate: the same of the reference.
        ratio: median of the ratios, round by round; above 1, `what` is faster.
        unit: what is counted.
        lowest: the least of these ratios.
        highest: the greatest.
        busy: median share of all processors' time that this process used during `what`, 0 to 1.
    """

    what: str
    reference: str
    rate: float
    reference_rate: float
    ratio: float
    unit: str
    lowest: float = 0.0
    highest: float = 0.0
    busy: float = 0.0


@dataclass(frozen=True)
class _Timed:
    rate: float
    busy: float


def compare(
    what: tuple[str, Callable[[], object]],
    references: Sequence[tuple[str, Callable[[], object]]],
    count: int,
    unit: str,
    repeats: int,
) -> list[Comparison]:
    """As `compare_rates`, where all work through the same `count` units.

    Args:
        what: name and function.
        references: likewise.
        count: how many `unit` one call works through.
        unit: what is counted.
        repeats: how often; the median is told.
    """
    return compare_rates(
        Contestant(*what, count),
        [Contestant(*reference, count) for reference in references],
        unit,
        repeats,
    )


@dataclass(frozen=True)
class Clock:
    """What time is taken from.

    Attributes:
        now: seconds that have passed.
        worked: seconds that processors have worked for this process and its children.
    """

    now: Callable[[], float]
    worked: Callable[[], float]


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


REAL_CLOCK = Clock(time.perf_counter, _processor_seconds)


def compare_rates(
    what: Contestant,
    references: Sequence[Contestant],
    unit: str,
    repeats: int,
    clock: Clock = REAL_CLOCK,
) -> list[Comparison]:
    """Time `what` and its references in turn, `repeats` times after one warm-up each."""
    return compare_each([(what, reference) for reference in references], unit, repeats, clock)


def compare_each(
    pairs: Sequence[tuple[Contestant, Contestant]],
    unit: str,
    repeats: int,
    clock: Clock = REAL_CLOCK,
) -> list[Comparison]:
    """Time everything of the pairs in turn, once a round however many pairs it is in.

    Args:
        pairs: what is measured, and a reference; each is run once to warm up.
        unit: what is counted.
        repeats: rounds; the median is told.
        clock: what time is taken from.

    Returns:
        A line for each pair.
    """
    contestants = list({id(one): one for pair in pairs for one in pair}.values())
    for contestant in contestants:
        contestant.run()
    rounds = [[_timed(contestant, clock) for contestant in contestants] for _ in range(repeats)]
    timed = dict(zip(map(id, contestants), zip(*rounds, strict=True), strict=True))
    return [
        _comparison(ours.name, reference.name, unit, timed[id(ours)], timed[id(reference)])
        for ours, reference in pairs
    ]


def _timed(contestant: Contestant, clock: Clock) -> _Timed:
    used, started = clock.worked(), clock.now()
    contestant.run()
    seconds = clock.now() - started
    busy = (clock.worked() - used) / seconds / usable_processors()
    return _Timed(contestant.count / seconds, busy)


def _comparison(
    what: str, reference: str, unit: str, ours: Sequence[_Timed], theirs: Sequence[_Timed]
) -> Comparison:
    ratios = [mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)]
    return Comparison(
        what=what,
        reference=reference,
        rate=statistics.median(timed.rate for timed in ours),
        reference_rate=statistics.median(timed.rate for timed in theirs),
        ratio=statistics.median(ratios),
        unit=unit,
        lowest=min(ratios),
        highest=max(ratios),
        busy=statistics.median(timed.busy for timed in ours),
    )
