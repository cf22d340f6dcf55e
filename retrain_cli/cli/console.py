"""The only module that prints: results to standard output, the story to standard error.

On a terminal tables have colour and rules; in a pipe they are plain aligned text, and progress is
a line now and then. Standard error is written through a duplicate of its descriptor, because the
engines' own chatter is kept off the original one while they load.
"""

from __future__ import annotations

import csv
import io
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from retrain_cli.cli import log_file
from retrain_cli.reports.text import printable
from retrain_cli.workspace import to_json as to_json  # noqa: PLC0414 - with the other ways to print

if TYPE_CHECKING:
    from rich.console import Console

Form = Literal["text", "csv", "json"]
"""How a result is printed: for people, or for programs."""

_LEAST_WIDTH = 10
"""Columns of text on a narrow terminal are broken over lines, but no narrower than this."""

_SECONDS_BETWEEN_LINES = 30.0
"""How often progress speaks where standard error is no terminal."""


@dataclass
class _Settings:
    quiet: bool = False
    verbose: bool = False


_settings = _Settings()


@dataclass(frozen=True)
class Table:
    """A table to print; `right` holds the indices of the columns that are aligned right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = ()
    title: str = ""
    right: Collection[int] = ()


def configure(*, quiet: bool, verbose: bool) -> None:
    """Take over `--quiet` and `--verbose`; names of any bytes can be printed from here on."""
    _settings.quiet = quiet
    _settings.verbose = verbose
    with suppress(OSError):  # it may be closed
        _error_descriptor()
    if hasattr(sys.stdout, "reconfigure"):
        # A pipe carries UTF-8 whatever the locale; a terminal knows best what it can show.
        encoding = sys.stdout.encoding if sys.stdout.isatty() else "utf-8"
        sys.stdout.reconfigure(encoding=encoding, errors="surrogateescape")


def is_verbose() -> bool:
    """Whether `--verbose` was given."""
    return _settings.verbose


# -- standard output: the result -----------------------------------------------------------------


def line(text: str = "", end: str = "\n") -> None:
    """Print a line of the result as it is."""
    sys.stdout.write(text + end)


def flush() -> None:
    """Hand what was printed to the next program of the pipe now."""
    sys.stdout.flush()


def document(value: Any) -> None:
    """Print one indented JSON document."""
    line(to_json(value, indent=2))


def table(content: Table) -> None:
    """Print a table: with rules on a terminal, as plain aligned text in a pipe."""
    if sys.stdout.isatty():
        _stdout().print(_ruled(content))
    else:
        _print_plain(content)


def styled(text: str) -> None:
    """Print text with Rich markup on a terminal, without any in a pipe."""
    from rich.text import Text

    parsed = Text.from_markup(text)
    if sys.stdout.isatty():
        _stdout().print(parsed, soft_wrap=True)
    else:
        line(parsed.plain)


def _ruled(content: Table) -> Any:
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table as RichTable
    from rich.text import Text

    ruled = RichTable(title=content.title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for index, column in enumerate(content.columns):
        numeric = index in content.right
        cells = [column, *(row[index] for row in content.rows)]
        ruled.add_column(
            column,
            justify="right" if numeric else "left",
            no_wrap=numeric,
            min_width=min(_LEAST_WIDTH, max(cell_len(cell) for cell in cells)),
        )
    for row in content.rows:
        ruled.add_row(*(Text(printable(cell)) for cell in row))
    return ruled


def _print_plain(content: Table) -> None:
    from rich.cells import cell_len

    if content.title:
        line(content.title)
    rows = [list(content.columns), *([printable(c) for c in row] for row in content.rows)]
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(content.columns))]
    for row in rows:
        cells = [
            " " * (width - cell_len(cell)) + cell
            if index in content.right
            else cell + " " * (width - cell_len(cell))
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line("  ".join(cells).rstrip())


# -- standard error: the story -------------------------------------------------------------------


def note(text: str) -> None:
    """Say what happens; silenced by `--quiet`."""
    log_file.entry("note", text)
    if not _settings.quiet:
        _stderr().print(printable(text), markup=False, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Say what needs attention; `--quiet` does not silence it."""
    _say("warning:", "bold yellow", text)


def error(text: str) -> None:
    """Say why the command ends."""
    _say("error:", "bold red", text)


def _say(word: str, style: str, text: str) -> None:
    from rich.text import Text

    log_file.entry(word.rstrip(":"), text)
    message = Text.assemble((word, style), " ", printable(" ".join(text.splitlines())))
    _stderr().print(message, soft_wrap=True, highlight=False)


def can_ask() -> bool:
    """Whether somebody sits at a terminal who could answer a question."""
    return bool(sys.stdin) and sys.stdin.isatty() and _stderr().is_terminal


def ask(question: str) -> bool:
    """Ask a question; whatever is no clear yes is a no."""
    _stderr().print(f"{printable(question)} [y/N] ", markup=False, highlight=False, end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def tell_of_request(number: int, waits: bool) -> None:
    """Say that Ctrl-C was seen where it has to wait; after a hang-up let the terminal go.

    Called from a signal handler, perhaps in the middle of a print: so it writes directly.
    """
    if signal.Signals(number).name == "SIGHUP":
        _forget_dead_terminal()
    elif waits and not _settings.quiet:
        _write_at_once("interrupted: finishing what is worth keeping; Ctrl-C again leaves at once")


def leave_terminal() -> None:
    """Leave a terminal that others can use: the process is about to end in mid-sentence."""
    _write_at_once("error: left at once; what was not finished is lost")
    if _stderr().is_terminal:
        os.write(_stderr().file.fileno(), b"\x1b[?25h")  # a progress bar hides the cursor


def _write_at_once(text: str) -> None:
    start = "\r\x1b[K" if _stderr().is_terminal else ""
    with suppress(OSError):
        os.write(_stderr().file.fileno(), f"{start}{text}\n".encode())


def _forget_dead_terminal() -> None:
    """What is printed to a terminal that was closed goes nowhere, in place of being an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2, _stderr().file.fileno()):
        with suppress(OSError):
            # A terminal that was closed is still a device, but passes for none.
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)


def trace() -> None:
    """Print the traceback of the current exception, for `--verbose`."""
    import traceback

    _stderr().print(traceback.format_exc(), markup=False, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Step:
    """Where a piece of work stands: `done` of `total`, and a few words more.

    A `total` of 0 means what comes before the counting; its words are told at once.
    """

    done: int
    total: int
    detail: str = ""


@contextmanager
def progress(title: str) -> Iterator[Callable[[Step], None]]:
    """A progress bar on a terminal, a line now and then elsewhere, nothing with `--quiet`."""
    if _settings.quiet:
        yield lambda step: None
    elif _stderr().is_terminal:
        with _bar(title) as update:
            yield update
    else:
        yield _occasional_lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Callable[[Step], None]]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[detail]}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=_stderr(), transient=True) as bars:
        task = bars.add_task(title, total=None, detail="")
        yield lambda step: bars.update(
            task, completed=step.done, total=step.total or None, detail=step.detail
        )


def _occasional_lines(title: str) -> Callable[[Step], None]:
    started = last = time.monotonic()

    def update(step: Step) -> None:
        nonlocal started, last
        now = time.monotonic()
        if not step.total and step.detail:
            note(f"{title}: {step.detail}")
            started = last = now
        if now - last < _SECONDS_BETWEEN_LINES or not step.done:
            return
        last = now
        left = (now - started) / step.done * (step.total - step.done)
        note(f"{title}: {step.done}/{step.total} {step.detail}, {duration(left)} left")

    return update


def duration(seconds: float) -> str:
    """A length of time as people say it: 45s, 3m 20s, 2h 05m."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def size(count: int) -> str:
    """A number of bytes as people say it: 812 bytes, 4.6 kB, 1.2 GB."""
    from rich.filesize import decimal

    return decimal(count)


@cache
def _stdout() -> Console:
    from rich.console import Console

    return Console()


@cache
def _error_descriptor() -> int:
    """Standard error as it was at the start, before any engine's chatter was kept off it."""
    return os.dup(2)


@cache
def _stderr() -> Console:
    from rich.console import Console

    stream = os.fdopen(
        _error_descriptor(), "w", buffering=1, encoding="utf-8", errors="backslashreplace"
    )
    return Console(file=stream)


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    line(text.getvalue(), end="")


def rows_for_programs(content: Table, form: Form) -> None:
    """A list that other programs read: CSV, a table on a terminal, bare tabs in a pipe."""
    if form == "csv":
        csv_table(content.columns, content.rows)
    elif sys.stdout.isatty():
        table(content)
    else:
        for row in content.rows:
            line("\t".join(row))
