"""Tables that other programs read."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence

from retrain_cli.cli import console


def csv_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    console.line(text.getvalue(), end="")


def rows_for_programs(content: console.Table, form: str) -> None:
    """A list that other programs read: CSV, a table on a terminal, bare tabs in a pipe."""
    if form == "csv":
        csv_table(content.columns, content.rows)
    elif sys.stdout.isatty():
        console.table(content)
    else:
        for row in content.rows:
            console.line("\t".join(row))
