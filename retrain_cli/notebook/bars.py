"""Bars for work in a notebook; a script, and a program, hear nothing.

A workflow that nobody listens to has one of these for its listener. Whether there is a notebook is
looked up when work is told, so that nothing of IPython is imported where there is none.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Generic, TypeVar

_SECONDS_BETWEEN = 0.1
_STYLE = "width:min(20em,50%);height:.8em;vertical-align:middle;accent-color:#4a8fd6"

WorkT = TypeVar("WorkT")


@dataclass(frozen=True)
class Done:
    """Where work stands: `done` of `total`, 0 where that is not known, and what of it, in words."""

    done: int
    total: int
    words: str = ""


class NotebookBar(Generic[WorkT]):
    """A listener that draws a bar under the cell that runs; silent elsewhere.

    Args:
        title: what is done.
        read: where the work stands, of what the workflow tells.
    """

    def __init__(self, title: str, read: Callable[[WorkT], Done]) -> None:
        self._title, self._read = title, read
        self._shown: Any = None
        self._cell: object = None
        self._last = Done(0, 0)
        self._begun = self._drawn = 0.0

    def __call__(self, work: WorkT) -> None:
        """Draw where the work stands, ten times a second at most, and always its end."""
        shell = notebook_shell()
        if shell is not None:
            self._take(self._read(work), shell.execution_count)

    def _take(self, step: Done, cell: object) -> None:
        now = time.monotonic()
        ended = 0 < step.total <= step.done
        if self._shown is None or cell != self._cell or step.done < self._last.done:
            self._shown, self._cell, self._begun, self._drawn = None, cell, now, 0.0
        if self._shown is not None and step == self._last:
            return
        self._last = step
        if ended or now - self._drawn >= _SECONDS_BETWEEN:
            self._drawn = now
            self._draw(step, now - self._begun)

    def _draw(self, step: Done, seconds: float) -> None:
        from IPython.display import display

        bundle = bar_of(self._title, step, seconds)
        if self._shown is None:
            show: Any = display  # it has no types
            self._shown = show(bundle, raw=True, display_id=True)
        else:
            self._shown.update(bundle, raw=True)


def bar_of(title: str, step: Done, seconds: float) -> dict[str, str]:
    """What a notebook shows of work that stands so, by MIME type."""
    counts = f"{step.done:,} of {step.total:,}" if step.total else f"{step.done:,}"
    line = ", ".join(part for part in (counts, step.words, f"{seconds:.0f} s") if part)
    value = f' value="{step.done}" max="{step.total}"' if step.total else ""
    return {
        "text/plain": f"{title}: {line}",
        "text/html": (
            f'<div>{escape(title)} <progress{value} style="{_STYLE}"></progress> '
            f"{escape(line)}</div>"
        ),
    }


def notebook_shell() -> Any | None:
    """The shell of the notebook that this runs in; None in a script or at a terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if shell is not None and hasattr(shell, "kernel") else None


def counted(title: str) -> Callable[[int, int], None]:
    """A listener that is told how much is done, and of how much."""
    bar: NotebookBar[Done] = NotebookBar(title, lambda step: step)
    return lambda done, total: bar(Done(done, total))
