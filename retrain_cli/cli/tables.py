"""How a table is laid out in the width of a terminal: no number and no name is ever cut.

What is too wide gets, in this order: shorter headings, and headings and sentences that are broken
between words; columns that may be missed are left out, and named for a note; columns that are all
alike stand in several tables, one below the other; and last the widest columns leave the line of
their row, for lines of their own. A cell that is wider than the terminal is all that may flow over
its edge, and stands there whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from rich.cells import cell_len

from retrain_cli.reports.text import printable

Style = Literal["", "bold", "dim"]

_GAP = 2
_INDENT = 4
_LEAST_PROSE = 24
"""A sentence beside other columns has at least so many cells, or all that it needs."""


@dataclass(frozen=True)
class Table:
    """A table to print.

    Attributes:
        columns: the headings.
        rows: a cell for each column.
        title: a line above it.
        right: indices of the columns that are aligned right.
        short: headings for narrow terminals, by the index of their column.
        spare: columns that narrow terminals may leave out, the first to go first.
        more: how to see what was left out, such as `--csv`.
        alike: whether all columns but the first are of one kind, such as those of a matrix.
        prose: columns of sentences, which may be broken between words.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = ()
    title: str = ""
    right: Collection[int] = ()
    short: Mapping[int, str] = field(default_factory=dict)
    spare: Sequence[int] = ()
    more: str = ""
    alike: bool = False
    prose: Collection[int] = ()


@dataclass(frozen=True)
class TableLine:
    """A line to print, and how."""

    text: str
    style: Style = ""


@dataclass(frozen=True)
class LaidOut:
    """A table as lines, and the headings of the columns that were left out."""

    lines: tuple[TableLine, ...]
    left_out: tuple[str, ...] = ()


def lay_out(table: Table, width: int | None = None) -> LaidOut:
    """Lay a table out.

    Args:
        table: the table.
        width: cells of the terminal; None for a pipe: one line a row, however long, and no rules.
    """
    table = _shown(table)
    if width is None:
        return LaidOut((*_title(table), *_grid(table, _natural(table), ruled=False)))
    left_out: list[int] = []
    while (grid := _fitting(table, width, left_out)) is None and len(left_out) < len(table.spare):
        left_out.append(table.spare[len(left_out)])
    names = tuple(table.columns[index] for index in sorted(left_out))
    if grid is not None:
        return LaidOut((*_title(table), *_grid(table, grid)), names)
    rest = [index for index in range(len(table.columns)) if index not in left_out]
    lines = _panels(table, rest, width) if table.alike else None
    return LaidOut((*_title(table), *(lines or _stacked(table, rest, width))), names)


@dataclass(frozen=True)
class _Grid:
    """Columns that stand side by side: their indices, widths and headings, line by line."""

    columns: tuple[int, ...]
    widths: tuple[int, ...]
    headings: tuple[tuple[str, ...], ...]

    @property
    def width(self) -> int:
        return sum(self.widths) + _GAP * (len(self.widths) - 1)


def _shown(table: Table) -> Table:
    """With cells as they are printed: control characters and stray bytes made visible."""
    rows = [[printable(cell) for cell in row] for row in table.rows]
    columns = [printable(name) for name in table.columns]
    short = {index: printable(name) for index, name in table.short.items()}
    return replace(table, columns=columns, rows=rows, title=printable(table.title), short=short)


def _title(table: Table) -> Iterator[TableLine]:
    if table.title:
        yield TableLine(table.title, "bold")


def _natural(table: Table) -> _Grid:
    every = range(len(table.columns))
    return _measured(table, every, [(name,) for name in table.columns])


def _fitting(table: Table, width: int, left_out: Collection[int]) -> _Grid | None:
    """The first way that fits to set the columns side by side."""
    chosen = [index for index in range(len(table.columns)) if index not in left_out]
    return _side_by_side(table, chosen, width)


def _side_by_side(table: Table, chosen: Sequence[int], width: int) -> _Grid | None:
    full = [table.columns[index] for index in chosen]
    short = [table.short.get(index, table.columns[index]) for index in chosen]
    ways: list[list[tuple[str, ...]]] = [
        [(name,) for name in full],
        [(name,) for name in short],
        [_broken(table, index, name) for index, name in zip(chosen, full, strict=True)],
        [_broken(table, index, name) for index, name in zip(chosen, short, strict=True)],
    ]
    for headings in ways:
        grid = _measured(table, chosen, headings)
        if grid.width <= width:
            return grid
        if (narrowed := _with_broken_prose(table, grid, width)) is not None:
            return narrowed
    return None


def _measured(table: Table, chosen: Sequence[int], headings: Sequence[tuple[str, ...]]) -> _Grid:
    widths = [
        max(_body_width(table, index), *map(cell_len, heading))
        for index, heading in zip(chosen, headings, strict=True)
    ]
    return _Grid(tuple(chosen), tuple(widths), tuple(headings))


def _body_width(table: Table, index: int) -> int:
    return max((cell_len(row[index]) for row in table.rows), default=0)


def _broken(table: Table, index: int, heading: str) -> tuple[str, ...]:
    """A heading over several lines, no wider than its column has to be anyway."""
    longest = max(map(cell_len, heading.split()), default=0)
    return tuple(broken(heading, max(longest, _body_width(table, index))))


def _with_broken_prose(table: Table, grid: _Grid, width: int) -> _Grid | None:
    """The same with its sentences over several lines; None where that is not enough."""
    places = [place for place, index in enumerate(grid.columns) if index in table.prose]
    if not places:
        return None
    widest = max(places, key=lambda place: grid.widths[place])
    room = width - (grid.width - grid.widths[widest])
    index = grid.columns[widest]
    words = [word for row in table.rows for word in row[index].split()]
    least = max([*map(cell_len, (*words, *grid.headings[widest])), _LEAST_PROSE])
    if room < least:
        return None
    widths = (*grid.widths[:widest], room, *grid.widths[widest + 1 :])
    return replace(grid, widths=widths)


def broken(text: str, width: int) -> list[str]:
    """A text in lines of at most so many cells, broken at blanks alone; a long word stays whole."""
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(joined) > width:
            lines.append(word)
        else:
            lines[-1] = joined
    return lines


def padded(text: str, width: int, *, right: bool = False) -> str:
    """A text of so many cells, with blanks behind it, or before it."""
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def _grid(table: Table, grid: _Grid, *, ruled: bool = True) -> Iterator[TableLine]:
    yield from _heading(table, grid, ruled=ruled)
    for row in table.rows:
        yield from (TableLine(line) for line in _row(table, grid, row))


def _heading(table: Table, grid: _Grid, *, ruled: bool = True) -> Iterator[TableLine]:
    height = max(map(len, grid.headings), default=0)
    lines = [(("",) * (height - len(heading))) + heading for heading in grid.headings]
    for cells in zip(*lines, strict=True):
        yield TableLine(_joined(table, grid, cells), "bold")
    if ruled:
        yield TableLine("─" * grid.width, "dim")


def _row(table: Table, grid: _Grid, row: Sequence[str]) -> Iterator[str]:
    cells = [
        broken(row[index], width) if index in table.prose else [row[index]]
        for index, width in zip(grid.columns, grid.widths, strict=True)
    ]
    for number in range(max(map(len, cells), default=0)):
        yield _joined(table, grid, [cell[number] if number < len(cell) else "" for cell in cells])


def _joined(table: Table, grid: _Grid, cells: Sequence[str]) -> str:
    parts = [
        padded(cell, width, right=index in table.right)
        for cell, width, index in zip(cells, grid.widths, grid.columns, strict=True)
    ]
    return (" " * _GAP).join(parts).rstrip()


def _panels(table: Table, chosen: Sequence[int], width: int) -> list[TableLine] | None:
    """Several tables below each other, each with the first column; None where one is too wide."""
    first, *others = chosen
    lines: list[TableLine] = []
    while others:
        count = len(others)
        while count and (grid := _side_by_side(table, [first, *others[:count]], width)) is None:
            count -= 1
        if not count or grid is None:
            return None
        lines += [TableLine(""), *_grid(table, grid)] if lines else [*_grid(table, grid)]
        others = others[count:]
    return lines


def _stacked(table: Table, chosen: Sequence[int], width: int) -> list[TableLine]:
    """The widest columns on lines of their own: the first above its row, the others below it."""
    beside = list(chosen)
    grid = None
    while beside and grid is None:
        beside.remove(max(beside, key=lambda index: _natural_width(table, index)))
        grid = _side_by_side(table, beside, width - _INDENT) if beside else None
    first = chosen[0]
    is_above = first not in beside
    below = [index for index in chosen if index not in beside and index != first]
    indent = " " * (_INDENT if is_above else 0)
    lines: list[TableLine] = []
    if is_above and table.columns[first]:
        lines.append(TableLine(table.columns[first], "bold"))
    if grid is not None:
        lines += [replace(one, text=indent + one.text) for one in _heading(table, grid)]
    for row in table.rows:
        if is_above:
            lines.append(TableLine(row[first]))
        if grid is not None:
            lines += [TableLine(indent + line) for line in _row(table, grid, row)]
        for index in below:
            lines += map(TableLine, _labelled(table, row[index], index, width))
    return lines


def _natural_width(table: Table, index: int) -> int:
    return max(_body_width(table, index), cell_len(table.columns[index]))


def _labelled(table: Table, cell: str, index: int, width: int) -> Iterator[str]:
    """A cell below its row, behind its heading; a sentence is broken between words."""
    if not cell:
        return
    heading = table.columns[index]
    if _INDENT + cell_len(f"{heading}: {cell}") > width:
        heading = table.short.get(index, heading)
    start = " " * _INDENT + (f"{heading}: " if heading else "")
    room = width - cell_len(start)
    first, *others = broken(cell, room) if index in table.prose else [cell]
    yield start + first
    yield from (" " * cell_len(start) + line for line in others)
