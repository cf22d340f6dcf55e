"""`retrain doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from retrain_cli.cli import console
from retrain_cli.cli.context import workspace_of
from retrain_cli.cli.options import JsonForm
from retrain_cli.cli.signatures import command

_MARKS = {
    "ok": ("ok", "green"),
    "info": ("info", "cyan"),
    "missing": ("optional", "yellow"),
    "problem": ("problem", "bold red"),
}
_INDENT = 10


@command
def doctor(
    ctx: typer.Context,
    backbones: Annotated[bool, typer.Option("--backbones", help="List the backbones instead.")],
    form: JsonForm,
) -> None:
    """Show versions, engine, GPU and folders; what is missing, and how to get it."""
    if backbones:
        _list_backbones(form)
        return
    from rich.markup import escape

    from retrain_cli.workflows.doctor import examine

    with console.progress("examining"):
        findings = examine(workspace_of(ctx))
    if form == "json":
        console.document([vars(finding) for finding in findings])
        return
    for finding in findings:
        word, style = _MARKS[finding.verdict]
        console.styled(
            f"[{style}]{word:<{_INDENT}}[/][bold]{finding.subject}[/]  {escape(finding.detail)}"
        )
        if finding.remedy:
            console.styled(f"{'':<{_INDENT}}[dim]{escape(finding.remedy)}[/]")


def _list_backbones(form: console.Form) -> None:
    from retrain_cli.cli.views.backbones import show_backbones
    from retrain_cli.workflows.doctor import list_backbones

    show_backbones(list_backbones(), form)
