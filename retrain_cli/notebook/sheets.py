"""Results as HTML for a notebook: small, without scripts, readable on light and dark.

Text has the colour of the page around it, and lines and grounds are greys that let it through: so a
sheet follows the theme of the notebook, whatever the system prefers, and needs no second set of
colours.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

NOT_DEFINED = "n/a"

Cell = str | int | float | None
"""A whole number is a count, a fraction a share in percent, a text itself, None not defined."""

MOST_ROWS = 20
"""Rows of a table that are shown; `to_frame` has them all."""

_LONGEST = 400
_SHORT = 16
_STYLE = (
    "<style>"
    ".retrain{font:13px/1.45 system-ui,sans-serif;color:inherit;max-width:100%;margin:4px 0}"
    ".retrain b{font-weight:600}"
    ".retrain .r-scroll{overflow-x:auto;max-width:100%}"
    ".retrain table{border-collapse:collapse;margin:6px 0;color:inherit;background:none;"
    "font-size:inherit;font-variant-numeric:tabular-nums}"
    ".retrain caption{caption-side:top;text-align:left;padding:2px 0;color:inherit;opacity:.8}"
    ".retrain th,.retrain td{padding:2px 12px 2px 0;border:0;text-align:left;color:inherit;"
    "background:none;vertical-align:top;white-space:normal;overflow-wrap:break-word;"
    "max-width:24em}"
    ".retrain th{font-weight:600;border-bottom:1px solid rgba(127,127,127,.6)}"
    ".retrain td{border-bottom:1px solid rgba(127,127,127,.25)}"
    ".retrain .r-n{text-align:right;white-space:nowrap}"
    ".retrain .r-s{white-space:nowrap}"
    ".retrain .r-bar{display:inline-block;height:.6em;border-radius:2px;background:#4a8fd6;"
    "margin-left:8px;vertical-align:middle}"
    ".retrain p{margin:4px 0}"
    "</style>"
)


@dataclass(frozen=True)
class Grid:
    """A table of a sheet.

    Attributes:
        columns: their headings.
        rows: a cell for each column.
        title: what the table shows; empty for nothing.
        total: how many rows there are where some are left out; None where these are all.
        bars: whether shares of the last column have a bar.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    total: int | None = None
    bars: bool = False


def sheet(title: str, *parts: str | Grid) -> str:
    """A result as a piece of HTML that stands for itself.

    Args:
        title: what it is, in bold.
        parts: sentences and tables in their order; empty ones are left out.
    """
    inside = [f"<p><b>{_text(title)}</b></p>"]
    for part in parts:
        if isinstance(part, Grid):
            inside += [_table(part)] if part.rows else []
        elif part:
            inside.append(f"<p>{_text(part)}</p>")
    return f'<div class="retrain">{_STYLE}{"".join(inside)}</div>'


def image_sheet(title: str, image: Image) -> str:
    """A picture under its title, as part of the HTML.

    Args:
        title: what it shows, in bold.
        image: of Pillow.
    """
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=88)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    style = "max-width:100%;height:auto"
    return (
        f'<div class="retrain">{_STYLE}<p><b>{_text(title)}</b></p>'
        f'<img alt="{_text(title)}" style="{style}" src="data:image/jpeg;base64,{data}"></div>'
    )


def cell_text(cell: Cell) -> str:
    """A cell as it is read: `1,234`, `56.7%`, `n/a`."""
    match cell:
        case None:
            return NOT_DEFINED
        case bool():
            return "yes" if cell else "no"
        case int():
            return f"{cell:,}"
        case float():
            return f"{100 * cell:.1f}%"
    return cell


def _table(grid: Grid) -> str:
    rows = grid.rows[:MOST_ROWS]
    total = len(grid.rows) if grid.total is None else grid.total
    numeric = [
        all(not isinstance(row[column], str) for row in rows) for column in range(len(grid.columns))
    ]
    head = "".join(
        f"<th{_of_number(number)}>{_text(name)}</th>"
        for name, number in zip(grid.columns, numeric, strict=True)
    )
    body = "".join(f"<tr>{_cells(row, numeric, grid.bars)}</tr>" for row in rows)
    caption = f"<caption>{_text(grid.title)}</caption>" if grid.title else ""
    left_out = total - len(rows)
    more = f"<p>and {left_out:,} more</p>" if left_out > 0 else ""
    return (
        f'<div class="r-scroll"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{more}"
    )


def _cells(row: Sequence[Cell], numeric: Sequence[bool], bars: bool) -> str:
    shown = [
        f"<td{_of_cell(cell, number)}>{_text(cell_text(cell))}</td>"
        for cell, number in zip(row, numeric, strict=True)
    ]
    last = row[-1]
    if bars and isinstance(last, float):
        wide = f'<span class="r-bar" style="width:{6 * min(max(last, 0.0), 1.0):.2f}em"></span>'
        shown[-1] = f"<td>{cell_text(last)}{wide}</td>"
    return "".join(shown)


def _of_number(is_number: bool) -> str:
    return ' class="r-n"' if is_number else ""


def _of_cell(cell: Cell, is_number: bool) -> str:
    """Numbers at the right; what is short stays in one line on a narrow page."""
    if is_number:
        return ' class="r-n"'
    return ' class="r-s"' if len(cell_text(cell)) <= _SHORT else ""


def _text(text: str) -> str:
    """For HTML; the end of a very long one is left out."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return escape("".join(one if one.isprintable() else "�" for one in short))
