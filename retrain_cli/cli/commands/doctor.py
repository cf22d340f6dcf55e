"""`retrain doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of

_MARKS = {
    "ok": ("ok", "green"),
    "info": ("info", "cyan"),
    "missing": ("optional", "yellow"),
    "problem": ("problem", "bold red"),
}
_INDENT = 10


def doctor(
    ctx: typer.Context,
    backbones: Annotated[
        bool, typer.Option("--backbones", help="List the backbones instead.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show versions, engine, GPU and folders; what is missing, and how to get it."""
    if backbones:
        _list_backbones(json)
        return
    from rich.markup import escape

    from retrain_cli.workflows.doctor import examine

    findings = examine(workspace_of(ctx))
    if json:
        console.document([vars(finding) for finding in findings])
        return
    for finding in findings:
        word, style = _MARKS[finding.verdict]
        console.styled(
            f"[{style}]{word:<{_INDENT}}[/][bold]{finding.subject}[/]  {escape(finding.detail)}"
        )
        if finding.remedy:
            console.styled(f"{'':<{_INDENT}}[dim]{escape(finding.remedy)}[/]")


def _list_backbones(json: bool) -> None:
    from retrain_cli.backbones.table import KERAS_BACKBONES

    rows = [
        [row.name, str(row.input_size), ", ".join(str(v.width) for v in row.variants)]
        for row in KERAS_BACKBONES.values()
    ]
    columns = ("backbone", "input px", "width")
    if json:
        console.document([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        console.table(console.Table(columns, rows, right=(1, 2)))
