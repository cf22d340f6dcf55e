"""`retrain help [COMMAND]`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from retrain_cli.cli import console
from retrain_cli.cli.completion import command_names
from retrain_cli.cli.signatures import command


@command
def help_on(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="The command, such as `train` or `runs rm`.",
            autocompletion=command_names,
        ),
    ],
) -> None:
    """Show the help of a command."""
    root: Any = ctx.find_root()
    found, path = root, list(names or [])
    while path:
        if not hasattr(found.command, "resolve_command"):
            break  # more words than commands: those of an example
        name, chosen, path = found.command.resolve_command(found, path)
        found = chosen.context_class(chosen, info_name=name, parent=found)
    text = found.get_help()  # Typer prints it itself where it is in colour
    if text:
        console.line(text)
