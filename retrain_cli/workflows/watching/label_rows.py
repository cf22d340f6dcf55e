"""The answer for a photo as a row for other programs: a record of JSON, or cells of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrain_cli.cells import csv_cell
from retrain_cli.workflows.label import LabelledImage


def json_row(image: LabelledImage, place: Path | None) -> dict[str, Any]:
    """The answer for a photo that was put to a place; None for nowhere."""
    answer: dict[str, Any] = {
        "path": image.path,
        "labels": [{"label": label.label, "score": label.score} for label in image.labels],
    }
    if image.error:
        answer["error"] = image.error
    if image.novelty is not None:
        answer["novelty"] = image.novelty
    if image.rejected and image.best:
        answer["rejected"] = image.rejected
        answer["best"] = vars(image.best)
    if place is not None:
        answer["sorted_to"] = str(place)
    return answer


def csv_columns(top_k: int, *, sorts: bool) -> list[str]:
    """The names of the cells of `csv_cells`."""
    more = [name for k in range(2, top_k + 1) for name in (f"label {k}", f"score {k}")]
    columns = ["path", "label", "score", *more, "novelty", "rejected", "best", "error"]
    return [*columns, "sorted to"] if sorts else columns


def csv_cells(image: LabelledImage, place: Path | None, top_k: int, *, sorts: bool) -> list[str]:
    """The answer for a photo that was put to a place; None for nowhere."""
    cells = [part for label in image.labels for part in (label.label, f"{label.score:.6g}")]
    cells += [""] * (2 * top_k - len(cells))
    row = [
        image.path,
        *cells,
        "" if image.novelty is None else f"{image.novelty:.6g}",
        image.rejected or "",
        image.best.label if image.rejected and image.best else "",
        image.error or "",
    ]
    if sorts:
        row.append("" if place is None else str(place))
    return row


def csv_line(cells: Sequence[str]) -> str:
    """Cells as a line of CSV, without its end."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(map(csv_cell, cells))
    return text.getvalue()
