"""How the result of a study looks: tables and notes, CSV or JSON."""

from __future__ import annotations

import csv
import io

from retrain_cli.cells import csv_cell
from retrain_cli.cli import console
from retrain_cli.reports.text import NOT_DEFINED, printable
from retrain_cli.studies.means import Mean
from retrain_cli.studies.study import Cell, StudyResult, StudyTable

_SPREAD = "± is the 95% interval over repeats, which draw"
SPREAD = (
    f"{_SPREAD} split, classes, training photos and batches anew: how far another study of these "
    "photos could lie; what other photos would do is not in it"
)
SPREAD_ON_SAME_TEST = (
    f"{_SPREAD} classes, training photos and batches anew and share their test photos; what other "
    "test photos would do is not in it"
)


def show_study(result: StudyResult, form: console.Form) -> None:
    """Print a result as `text`, `csv` (its main table) or `json`."""
    if form == "json":
        console.document(result.to_dict())
    elif form == "csv":
        console.line(_csv(result.tables[0]), end="")
    else:
        from rich.markup import escape

        console.styled(f"[bold]study {result.study}[/]: {escape(printable(result.headline))}")
        for table in result.tables:
            console.table(_table(table))
        for note in result.notes:
            console.note(f"note: {note}")
        if result.has_intervals:
            console.note(f"note: {SPREAD if result.varies_test else SPREAD_ON_SAME_TEST}")


def _table(table: StudyTable) -> console.Table:
    rows = [[_text(cell, table.percent) for cell in row] for row in table.rows]
    numeric = [
        index
        for index in range(len(table.columns))
        if all(_is_number(row[index]) for row in table.rows)
    ]
    sentences = [index for index in range(1, len(table.columns)) if index not in numeric]
    return console.Table(table.columns, rows, table.name, numeric, prose=sentences)


def _is_number(cell: Cell) -> bool:
    return not isinstance(cell, str)


def _text(cell: Cell, percent: bool) -> str:
    if cell is None:
        return NOT_DEFINED
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    scale, sign = (100, "%") if percent else (1, "")
    value = cell.value if isinstance(cell, Mean) else cell
    half = cell.half_width if isinstance(cell, Mean) else None
    return f"{scale * value:.1f}{sign}" + ("" if half is None else f" ± {scale * half:4.1f}")


def _csv(table: StudyTable) -> str:
    """One column for each plain cell, three for a mean: itself and the ends of its interval."""
    spread = [
        any(isinstance(row[index], Mean) for row in table.rows)
        for index in range(len(table.columns))
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header: list[str] = []
    for name, wide in zip(table.columns, spread, strict=True):
        header += [name, f"{name} low", f"{name} high"] if wide else [name]
    writer.writerow(map(csv_cell, header))
    for row in table.rows:
        cells: list[str] = []
        for cell, wide in zip(row, spread, strict=True):
            cells += _plain(cell, wide)
        writer.writerow(cells)
    return text.getvalue()


def _plain(cell: Cell, wide: bool) -> list[str]:
    if isinstance(cell, Mean):
        return [_number(value) for value in (cell.value, cell.low, cell.high)]
    text = _number(cell) if isinstance(cell, float) or cell is None else csv_cell(str(cell))
    return [text, "", ""] if wide else [text]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
