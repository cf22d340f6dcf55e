"""How explained photos look: a row each on a terminal, JSON lines elsewhere."""

from __future__ import annotations

from rich.cells import cell_len
from rich.markup import escape

from retrain_cli.cli import console
from retrain_cli.cli.tables import padded
from retrain_cli.reports.text import printable
from retrain_cli.workflows.explaining.heat_pictures import DrawnPhoto

_WIDEST, _SCORE = 28, len("100.0%")
_NOT_READ = "no heatmap"


class ExplainView:
    """Shows answers as they come.

    Attributes:
        n_photos: how many were shown.
        n_bad: how many of them could not be explained.

    Args:
        form: text or JSON.
    """

    def __init__(self, form: console.Form) -> None:
        self._form = form
        self.n_photos = self.n_bad = 0

    def show(self, drawn: DrawnPhoto) -> None:
        """Print the answer for one photo."""
        if self._form == "json":
            _show_json(drawn)
        else:
            self._show_row(drawn)
        self.n_photos += 1
        self.n_bad += drawn.photo.error is not None
        console.flush()

    def _show_row(self, drawn: DrawnPhoto) -> None:
        photo = drawn.photo
        if not self.n_photos:
            heading = f"{padded('class', _WIDEST)}  {padded('score', _SCORE, right=True)}  picture"
            console.styled(f"[bold]{heading}[/]")
        if photo.error is not None:
            self._line(_NOT_READ, "", printable(photo.source.name), "red")
            console.styled(f"    [dim]{escape(photo.error)}[/]")
            return
        for layer in photo.channels:
            place = "" if layer is not photo.channels[0] else printable(str(drawn.picture))
            self._line(f"{layer.network}, {layer.layer}", "", place, "bold")
        seen: list[str] = []
        for heatmap in photo.heatmaps:
            name = f"{heatmap.label}, not {heatmap.against}" if heatmap.against else heatmap.label
            if name in seen:
                continue
            place = "" if seen else printable(str(drawn.picture or photo.source.name))
            self._line(name, f"{heatmap.score:.1%}", place, "dim" if seen else "bold")
            seen.append(name)

    def _line(self, name: str, score: str, path: str, style: str) -> None:
        """Name and score, then the path; on a line of its own where that is too much for one."""
        start = f"{padded(printable(name), _WIDEST)}  {padded(score, _SCORE, right=True)}"
        if not path or cell_len(f"{start}  {path}") <= console.width():
            console.styled(f"[{style}]{escape(start)}[/]  {escape(path)}".rstrip())
        else:
            console.styled(f"[{style}]{escape(start.rstrip())}[/]")
            console.styled(f"    {escape(path)}")


def _show_json(drawn: DrawnPhoto) -> None:
    answer = drawn.photo.to_dict()
    if drawn.picture is not None:
        answer["picture"] = str(drawn.picture)
        for one, path in zip(answer.get("maps", ()), drawn.maps, strict=True):
            one["picture"] = str(path)
    console.line(console.to_json(answer))
