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
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from rich.cells import cell_len

from retrain_cli import waiting
from retrain_cli.cells import csv_cell, tsv_cell
from retrain_cli.cli import log_file
from retrain_cli.cli.pace import Step as Step  # noqa: PLC0414 - what `progress` takes
from retrain_cli.cli.pace import duration as duration  # noqa: PLC0414 - with the other words
from retrain_cli.cli.tables import Table as Table  # noqa: PLC0414 - what is printed here
from retrain_cli.cli.tables import lay_out
from retrain_cli.reports.text import printable
from retrain_cli.workspace import to_json as to_json  # noqa: PLC0414 - with the other ways to print

if TYPE_CHECKING:
    from rich.console import Console

    from retrain_cli.cli.progress_display import Bar, Lines

Form = Literal["text", "csv", "json"]
"""How a result is printed: for people, or for programs."""

_MOST_ROWS = 200  # of a list on a terminal: more scrolls away


@dataclass
class _Settings:
    quiet: bool = False
    verbose: bool = False
    shown: Bar | Lines | None = None


_settings = _Settings()


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
    """Print a line of the result: as it is into a pipe, without control characters to a terminal.

    Names come from the disk, where everybody can have put them, and a terminal obeys.
    """
    _hide_progress()
    sys.stdout.write((_shown(text) if sys.stdout.isatty() else text) + end)


def _shown(text: str) -> str:
    """The text with its line ends, and nothing else that a terminal would obey."""
    return "\n".join(map(printable, text.split("\n")))


def flush() -> None:
    """Hand what was printed to the next program of the pipe now."""
    sys.stdout.flush()


def document(value: Any) -> None:
    """Print one indented JSON document."""
    line(to_json(value, indent=2))


def table(content: Table) -> None:
    """Print a table: with a rule on a terminal, as plain aligned text in a pipe; nothing is cut.

    What a narrow terminal has no room for is named in a note.
    """
    if not sys.stdout.isatty():
        for one in lay_out(content).lines:
            line(one.text)
        return
    from rich.text import Text

    laid_out = lay_out(content, width())
    for one in laid_out.lines:
        _stdout().print(Text(one.text, one.style), soft_wrap=True)
    line()
    if laid_out.left_out:
        how = f": {content.more}" if content.more else ""
        note(f"left out for want of width: {', '.join(laid_out.left_out)}{how}")


def width() -> int:
    """Cells of a line of the terminal."""
    return _stdout().width


def table_height(content: Table) -> int:
    """How many lines of a terminal `table` takes; in a pipe as on one of 80 columns."""
    cells = width() if sys.stdout.isatty() else 80
    laid_out = lay_out(content, cells)
    lines = sum(max(1, -(-cell_len(one.text) // cells)) for one in laid_out.lines)
    return lines + 1 + bool(laid_out.left_out)


def styled(text: str) -> None:
    """Print text with Rich markup on a terminal, without any in a pipe."""
    from rich.text import Text

    parsed = Text.from_markup(_shown(text))
    if sys.stdout.isatty():
        _stdout().print(parsed, soft_wrap=True)
    else:
        line(parsed.plain)


# -- standard error: the story -------------------------------------------------------------------


def note(text: str) -> None:
    """Say what happens; silenced by `--quiet`."""
    log_file.entry("note", text)
    if not _settings.quiet:
        _tell(printable(text), markup=False, highlight=False, soft_wrap=True)


def log_request(text: str) -> None:
    """Say what a service was asked for, in one line; silenced by `--quiet`.

    There are hundreds of these a second, so that no layout is done.
    """
    log_file.entry("request", text)
    if not _settings.quiet:
        with suppress(OSError):
            _stderr().file.write(f"{printable(text)}\n")


def _tell(content: Any, **how: Any) -> None:
    """Print to standard error; where that takes nothing, the work goes on in silence."""
    try:
        _stderr().print(content, **how)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _stderr().file.fileno())
        os.close(nowhere)


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
    _tell(message, soft_wrap=True, highlight=False)


def can_ask() -> bool:
    """Whether somebody sits at a terminal who could answer a question."""
    return bool(sys.stdin) and sys.stdin.isatty() and _stderr().is_terminal


def ask(question: str) -> bool:
    """Ask a question; whatever is no clear yes is a no."""
    _tell(f"{printable(question)} [y/N] ", markup=False, highlight=False, end="")
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

    _tell(traceback.format_exc(), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Callable[[Step], None]]:
    """A progress bar on a terminal, a line now and then elsewhere, nothing with `--quiet`.

    What `waiting` announces meanwhile is shown, too.
    """
    if _settings.quiet:
        yield lambda step: None
        return
    from retrain_cli.cli.progress_display import Bar, Lines

    shown = Bar(title, _stderr()) if _stderr().is_terminal else Lines(title, note)
    before, _settings.shown = _settings.shown, shown
    try:
        with waiting.told(shown.wait):
            yield shown.take
    finally:
        _settings.shown = before
        shown.close()


def _hide_progress() -> None:
    """Before a result is printed to the terminal on which progress is shown."""
    if _settings.shown is not None and sys.stdout.isatty():
        _settings.shown.hide()


def size(count: int) -> str:
    """A number of bytes as people say it: 812 bytes, 4.6 kB, 1.2 GB."""
    from rich.filesize import decimal

    return decimal(count)


def _stdout() -> Console:
    _hide_progress()
    return _terminal()


@cache
def _terminal() -> Console:
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
    writer.writerows([csv_cell(cell) for cell in row] for row in (columns, *rows))
    line(text.getvalue(), end="")


def tab_separated(cells: Iterable[str]) -> None:
    """Print a row for programs: between two tabs is one cell, whatever it holds."""
    line("\t".join(map(tsv_cell, cells)))


def listing(
    content: Table, where: str, left_out: Callable[[int], str] = lambda count: f"{count:,} more"
) -> None:
    """A table of any length; on a terminal its first 200 rows, and how many more there are where.

    Args:
        content: the table.
        where: what prints all of it, such as `--csv prints all`.
        left_out: says how many are left out.
    """
    left = len(content.rows) - _MOST_ROWS if sys.stdout.isatty() else 0
    table(replace(content, rows=content.rows[:_MOST_ROWS]) if left > 0 else content)
    if left > 0:
        note(f"and {left_out(left)}: {where}")


def rows_for_programs(content: Table, form: Form) -> None:
    """A list that other programs read: CSV, a table on a terminal, bare tabs in a pipe."""
    if form == "csv":
        csv_table(content.columns, content.rows)
    elif sys.stdout.isatty():
        listing(content, "--csv prints all")
    else:
        for row in content.rows:
            tab_separated(row)
