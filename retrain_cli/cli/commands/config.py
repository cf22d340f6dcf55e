"""`retrain config show`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from retrain_cli.cli import console
from retrain_cli.cli.completion import command_names
from retrain_cli.cli.grammar import Group, RetrainCommand, settings_of
from retrain_cli.cli.options import JsonForm
from retrain_cli.cli.settings import OuterSettings, keys_of, options_of
from retrain_cli.cli.signatures import command

app = typer.Typer(
    cls=Group,
    add_completion=False,
    help="Show what is set by a file, by the environment and by default.",
    no_args_is_help=True,
)


@app.callback()
def _only_a_group() -> None:
    """Typer takes an application with a single command for that command."""


@dataclass(frozen=True)
class _Known:
    """An option of a command with the value that it has while it is not typed."""

    command: str
    option: str
    value: Any
    source: str


@app.command(cls=RetrainCommand)
@command
def show(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="Command whose options are shown, such as train or study cost (default: what is "
            "set, of all commands).",
            autocompletion=command_names,
        ),
    ],
    form: JsonForm,
) -> None:
    """Show each option's value and where it comes from.

    A flag goes before the environment, that before the file, and the file before the default.
    """
    settings, root = settings_of(ctx), ctx.find_root()
    if names:
        chosen = _command(root, names)
        known = list(_known(settings, tuple(names), chosen))
    else:
        every = _every_command(root.command)
        known = [
            one
            for path, each in every
            for one in _known(settings, path, each)
            if one.source != "default"
        ]
    file = settings.file
    if form == "json":
        path = None if file is None else str(file.path)
        console.document({"file": path, "options": [asdict(one) for one in known]})
        return
    console.note(f"settings are read from {file.path}" if file else "there is no file of settings")
    if not known:
        console.note("nothing is set; `retrain config show COMMAND` shows the defaults")
        return
    rows = [[one.command, one.option, _shown(one.value), one.source] for one in known]
    columns = ["command", "option", "value", "set by"]
    if names:
        rows, columns = [row[1:] for row in rows], columns[1:]
    console.table(console.Table(columns, rows))


def _command(root: Any, names: Sequence[str]) -> Any:
    found: Any = root
    for name in names:
        _, chosen, _ = found.command.resolve_command(found, [name])
        found = chosen.context_class(chosen, info_name=name, parent=found)
    return found.command


def _every_command(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name in group.list_commands(None) if hasattr(group, "list_commands") else ():
        yield from _every_command(group.get_command(None, name), (*path, name))


def _known(settings: OuterSettings, path: tuple[str, ...], chosen: Any) -> Iterator[_Known]:
    own = settings.of(path, chosen)
    for option in options_of(chosen):
        setting = own.get(option.name)
        value = option.default if setting is None else setting.value
        source = "default" if setting is None else setting.source
        yield _Known(" ".join(path), keys_of(option)[0], value, source)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ", ".join(map(str, value))
        case _:
            return str(value)
