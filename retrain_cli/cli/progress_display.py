"""How progress looks: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrain_cli.cli.pace import Pace, Step, story
from retrain_cli.reports.text import printable

if TYPE_CHECKING:
    from rich.console import Console

_SECONDS_BETWEEN_LINES = 30.0
_PATIENCE = 5.0
"""Seconds after which a line says what is waited for; most waits are over by then."""

_LINE_WIDTH = 200
_WIDE = 100
"""Columns from which on a terminal has room for a long bar."""


class Bar:
    """A progress bar; it goes away while something else is printed to the same terminal.

    Args:
        title: what is done.
        screen: where it is shown.
    """

    def __init__(self, title: str, screen: Console) -> None:
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
        from rich.text import Text

        pace = Pace()
        bar_width = 28 if screen.width >= _WIDE else 12
        room = screen.width - len(title) - bar_width - 3

        class Story(ProgressColumn):
            def render(self, task: Any) -> Text:
                return Text(printable(story(pace, room)), no_wrap=True, overflow="crop")

        self._pace = pace
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=bar_width),
            Story(),
            console=screen,
            transient=True,
            redirect_stdout=False,  # that would lead results to standard error
            redirect_stderr=False,
        )
        self._task = self._bars.add_task(title, total=None)
        self._lock = threading.RLock()
        self._is_closed = self._is_shown = False
        self._show()

    def take(self, step: Step) -> None:
        """Show where the work stands."""
        with self._lock:
            self._pace.take(step)
            self._show()

    def wait(self, words: str) -> None:
        """Show what is waited for."""
        with self._lock:
            self._pace.wait(words)
            self._show()

    def hide(self) -> None:
        """Leave the terminal to what is printed now, until there is something new to show."""
        with self._lock:
            if self._is_shown:
                self._bars.stop()
                self._is_shown = False

    def close(self) -> None:
        """Take it away for good."""
        with self._lock:
            self._is_closed = True
            self.hide()

    def _show(self) -> None:
        step = self._pace.step
        total = step.total if step.total and not self._pace.waits_for else None
        self._bars.update(self._task, completed=step.done, total=total)
        if not self._is_shown and not self._is_closed:
            self._bars.start()
            self._is_shown = True


class Lines:
    """A line for what is done before anything is counted, and one every half a minute.

    Args:
        title: what is done.
        say: prints a line.
    """

    def __init__(self, title: str, say: Callable[[str], None]) -> None:
        self._title, self._say_line, self._pace = title, say, Pace()
        self._stage = ""
        self._last = time.monotonic()
        self._wait_is_told = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        threading.Thread(target=self._tick, name="progress", daemon=True).start()

    def take(self, step: Step) -> None:
        """Note where the work stands, and tell it if a stage begins that is not counted."""
        with self._lock:
            self._pace.take(step)
            begins = step.stage != self._stage
            self._stage = step.stage
            if begins and step.stage and not step.total:
                self._say(step.stage)

    def wait(self, words: str) -> None:
        """Note what is waited for."""
        with self._lock:
            self._wait_is_told = False
            self._pace.wait(words)

    def hide(self) -> None:
        """Lines are in nobody's way."""

    def close(self) -> None:
        """Say nothing more."""
        self._ended.set()

    def _tick(self) -> None:
        while not self._ended.wait(0.5):
            with self._lock:
                if self._is_due():
                    self._say(story(self._pace, _LINE_WIDTH))

    def _is_due(self) -> bool:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            return True
        is_new = bool(self._pace.waits_for) and not self._wait_is_told
        return is_new and self._pace.seconds >= _PATIENCE

    def _say(self, text: str) -> None:
        self._last, self._wait_is_told = time.monotonic(), True
        if not self._ended.is_set():
            self._say_line(f"{self._title}: {text}")
