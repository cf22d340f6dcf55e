"""How labelled images look: rows and a summary on a terminal; CSV, or JSON lines, elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len

from retrain_cli.cli import console
from retrain_cli.cli.tables import padded
from retrain_cli.reports.text import printable
from retrain_cli.workflows.label import Label, LabelledImage
from retrain_cli.workflows.watching.label_rows import (
    csv_cells,
    csv_columns,
    csv_line,
    json_row,
)

_UNKNOWN, _NO_LABEL, _NOT_READ = "unknown", "no label", "not read"
_SCORE = len("100.0%")
_WIDEST = 32
"""Cells of the column of names; where one is wider its photo goes to the next line."""


@dataclass
class _Seen:
    """How many photos got a label, and the sum of their scores."""

    photos: int = 0
    scores: float = 0.0

    def add(self, score: float) -> None:
        self.photos += 1
        self.scores += score


class LabelView:
    """Shows answers as they come.

    Args:
        form: text, CSV or JSON.
        labels: every label there is.
        top_k: how many labels an image has.
        sorts: whether photos are sorted into folders.
    """

    def __init__(
        self, form: console.Form, labels: Sequence[str], top_k: int, *, sorts: bool
    ) -> None:
        self._form = form
        self._top_k = top_k
        self._sorts = sorts
        names = [printable(label) for label in (*labels, _UNKNOWN, _NO_LABEL, _NOT_READ)]
        self._width = min(_WIDEST, max(map(cell_len, names)))
        self._seen: dict[str, _Seen] = defaultdict(_Seen)
        self._others = dict.fromkeys((_UNKNOWN, _NO_LABEL, _NOT_READ), 0)
        self._is_first = True

    def show(self, image: LabelledImage, place: Path | None) -> None:
        """Print the answer for one image, which was put to a place."""
        self._count(image)
        if self._form == "json":
            console.line(console.to_json(json_row(image, place)))
        elif self._form == "csv":
            self._show_csv(image, place)
        else:
            self._show_row(image)
        self._is_first = False
        console.flush()

    def summarise(self) -> None:
        """Print how many photos each class got, the most frequent first; on a terminal."""
        if self._form != "text" or self._is_first:
            return
        counts = sorted(self._seen.items(), key=lambda entry: (-entry[1].photos, entry[0]))
        rows = [
            [label, f"{seen.photos:,}", f"{seen.scores / seen.photos:.1%}"]
            for label, seen in counts
        ]
        rows += [[name, f"{count:,}", ""] for name, count in self._others.items() if count]
        console.line()
        console.table(console.Table(("class", "photos", "mean score"), rows, right=(1, 2)))

    def _count(self, image: LabelledImage) -> None:
        if image.labels:
            self._seen[image.labels[0].label].add(image.labels[0].score)
        else:
            self._others[_kind(image)] += 1

    def _show_row(self, image: LabelledImage) -> None:
        if self._is_first:
            heading = f"{padded('class', self._width)}  {padded('score', _SCORE, right=True)}"
            console.styled(f"[bold]{heading}  photo[/]")
        first = image.labels[0] if image.labels else None
        score = None if first is None else first.score
        self._line(_name_of(image, first), score, image.path, _style(image))
        for label in image.labels[1:]:
            self._line(label.label, label.score, "", "dim")
        if why := _why(image):
            console.styled(f"    [dim]{_escaped(why)}[/]")

    def _line(self, name: str, score: float | None, path: str, style: str) -> None:
        """Name and score, then the path; on a line of its own where that is too much for one."""
        value = "" if score is None else f"{score:.1%}"
        start = f"{padded(printable(name), self._width)}  {padded(value, _SCORE, right=True)}"
        shown = printable(path)
        if not shown or cell_len(f"{start}  {shown}") <= console.width():
            console.styled(f"[{style}]{_escaped(start)}[/]  {_escaped(shown)}".rstrip())
        else:
            console.styled(f"[{style}]{_escaped(start.rstrip())}[/]")
            console.styled(f"    {_escaped(shown)}")

    def _show_csv(self, image: LabelledImage, place: Path | None) -> None:
        if self._is_first:
            console.line(csv_line(csv_columns(self._top_k, sorts=self._sorts)))
        console.line(csv_line(csv_cells(image, place, self._top_k, sorts=self._sorts)))


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _kind(image: LabelledImage) -> str:
    """What an image without a label is."""
    if image.error:
        return _NOT_READ
    return _UNKNOWN if image.rejected else _NO_LABEL


def _name_of(image: LabelledImage, first: Label | None) -> str:
    return _kind(image) if first is None else first.label


def _style(image: LabelledImage) -> str:
    if image.error:
        return "red"
    return "bold" if image.labels else "yellow"


def _why(image: LabelledImage) -> str:
    """Why an image has no label."""
    if image.error:
        return image.error
    if image.rejected and image.best:
        best = image.best
        novelty = "" if image.novelty is None else f"novelty {image.novelty:.2f}, "
        return f"{image.rejected}: {novelty}{best.label} {best.score:.1%}"
    return "" if image.labels else "no score reaches --threshold"
