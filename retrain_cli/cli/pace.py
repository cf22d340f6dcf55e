"""How long work has taken and will take, told from what was finished, and the line that says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_LEAST_SECONDS = 1.0
"""A rate from a shorter time than this says nothing, and a shorter wait changes none."""


@dataclass(frozen=True)
class Step:
    """Where a piece of work stands: `done` of `total`, and a few words more.

    Attributes:
        done: what is finished.
        total: of how much; 0 where that is not known, or nothing is counted.
        detail: a few words more, parts separated by commas, the more important first.
        stage: what is done now, where there are several things to do one after the other; each
            has a clock and a rate of its own.
    """

    done: int
    total: int
    detail: str = ""
    stage: str = ""


class Pace:
    """When work will be done, told from its finished part: from the first result of a stage on.

    What comes before the first result, such as loading a network, is not counted as work, nor is
    what is waited for in between.

    Attributes:
        step: where the work stands.
        waits_for: what it waits for, in words; empty while it goes on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.step = Step(0, 0)
        self.waits_for = ""
        self._started = self._waits_since = clock()
        self._begin_at = 0
        self._first: tuple[float, int] | None = None
        self._last = self._started

    def take(self, step: Step) -> None:
        """Note where the work stands now."""
        before, now = self.step, self._clock()
        self.step = step
        same = (before.stage, before.total) == (step.stage, step.total)
        if not same or step.done < before.done:
            self._started, self._begin_at, self._first = now, 0, None
        if self._first is None and step.done > self._begin_at:
            self._first = (now, step.done)
        self._last = now

    def wait(self, words: str) -> None:
        """Note what is waited for; the rate is measured anew after a long one."""
        now = self._clock()
        if words and not self.waits_for:
            self._waits_since = now
        if self.waits_for and not words:
            if now - self._waits_since >= _LEAST_SECONDS:
                self._first, self._begin_at = None, self.step.done
            elif self._first is not None:
                begun, done_then = self._first
                self._first = (begun + now - self._waits_since, done_then)
        self.waits_for = words

    @property
    def words(self) -> str:
        """What is done now."""
        return self.waits_for or self.step.stage

    @property
    def seconds(self) -> float:
        """How long this stage, or what is waited for, has taken so far."""
        return self._clock() - (self._waits_since if self.waits_for else self._started)

    @property
    def rate(self) -> float | None:
        """How much is finished a second; None while too little is finished to say."""
        if self.waits_for or self._first is None:
            return None
        begun, done_then = self._first
        done, took = self.step.done - done_then, self._last - begun
        return done / took if done > 0 and took >= _LEAST_SECONDS else None

    @property
    def seconds_left(self) -> float | None:
        """How long this stage will take; None while too little is finished to say."""
        rate = self.rate
        if rate is None or not self.step.total:
            return None
        left = (self.step.total - self.step.done) / rate
        return max(0.0, left - (self._clock() - self._last))


def story(pace: Pace, width: int) -> str:
    """One line on where the work stands, in at most `width` columns: what does not fit is left out.

    Args:
        pace: of the work.
        width: columns; parts of the detail go first, nothing is cut.
    """
    from rich.cells import cell_len

    step = pace.step
    shown = _counts(pace)
    for part in (_times(pace), pace.words, *step.detail.split(", ")):
        longer = ", ".join(some for some in (shown, part) if some)
        if cell_len(longer) > width:
            break
        shown = longer
    return shown


def _counts(pace: Pace) -> str:
    step = pace.step
    if step.total:
        return f"{step.done:,}/{step.total:,}"
    return f"{step.done:,} done" if step.done else ""


def _times(pace: Pace) -> str:
    left, rate = pace.seconds_left, pace.rate
    if left is not None:
        return f"{duration(pace.seconds)}, {duration(left)} left"
    return duration(pace.seconds) + (f", {rate:.1f} a second" if rate is not None else "")


def duration(seconds: float) -> str:
    """A length of time as people say it: 45s, 3m 20s, 2h 05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"
