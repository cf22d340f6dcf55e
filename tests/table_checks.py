"""Whether a table that was laid out holds its cells, each as a whole."""

from __future__ import annotations

import re
from collections import Counter

from rich.cells import cell_len

from retrain_cli.cli.tables import Table, lay_out
from retrain_cli.reports.text import printable


def check_cells(table: Table, width: int) -> None:
    """Assert that every cell is there, and that lines fit unless one cell alone does not."""
    laid_out = lay_out(table, width)
    lines = [one.text for one in laid_out.lines]
    kept = [index for index, name in enumerate(table.columns) if name not in laid_out.left_out]
    text = "\n".join(lines)
    wanted: Counter[str] = Counter()
    for index in kept:
        for row in table.rows:
            cell = printable(row[index])
            if index in table.prose:
                assert all(word in text for word in cell.split()), cell
            elif cell.strip():
                wanted[cell.rstrip()] += 1
    for cell, times in wanted.items():
        whole = rf"(?:^ *|  |: ){re.escape(cell)}(?=  |$)"
        assert len(re.findall(whole, text, re.MULTILINE)) >= times, (cell, lines)
    for line in lines:
        assert cell_len(line) <= width or _is_one_cell(line, table, width), line
    assert set(laid_out.left_out) <= {table.columns[index] for index in table.spare}


def _is_one_cell(line: str, table: Table, width: int) -> bool:
    """Whether a line that is too long holds a single cell, behind its heading perhaps."""
    pieces = [*table.columns, table.title]
    pieces += [cell for row in table.rows for cell in row]
    pieces += [word for index in table.prose for row in table.rows for word in row[index].split()]
    known = {printable(piece).strip() for piece in pieces}
    shown = line.strip()
    headings = [printable(name) for name in (*table.columns, *table.short.values())]
    values = {shown, *(shown.removeprefix(f"{name}: ").strip() for name in headings)}
    return bool(values & known)
