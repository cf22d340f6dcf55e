"""Write docs/cli.md from the help texts of the commands; `--check` fails where it is stale.

python tools/make_cli_docs.py [--check]
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from retrain_cli.cli.main import app

PROJECT = Path(__file__).resolve().parent.parent
TARGET = PROJECT / "docs" / "cli.md"
WIDTH = 100

INTRODUCTION = """\
# The commands

Made from the commands' own help by `make docs`; do not edit.

Standard output is the result, standard error is the story. `retrain --install-completion` sets up
your shell's completion.

| exit code | meaning |
|---|---|
"""

EXIT_STATUS = {
    "0": "done",
    "1": "an unexpected fault of the program",
    "2": "wrong usage",
    "3": "something about your data or environment, said in one line",
    "4": "an --assert-... that does not hold, or an exported file that answers otherwise",
    "130, 143, 129": "ended by Ctrl-C, SIGTERM, a closed terminal: it names what is kept",
}


def make_page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    codes = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_STATUS.items())
    return INTRODUCTION + codes + "".join(sections(root, "retrain"))


def sections(command: Any, path: str) -> Iterator[str]:
    """A section for a command and each of its sub-commands.

    Made from the parameters, not from the rendered help, which changes with Typer's version.
    """
    yield section(command, path)
    for name in command.list_commands(None) if hasattr(command, "commands") else ():
        yield from sections(command.get_command(None, name), f"{path} {name}")


def section(command: Any, path: str) -> str:
    """Usage, description and parameters of one command."""
    shown = [parameter for parameter in command.params if not is_plumbing(parameter)]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    options = [parameter for parameter in shown if parameter.param_type_name == "option"]
    names = "".join(f" {argument_name(argument)}" for argument in arguments)
    usage = f"{path}{names}{' [OPTIONS]' if options else ''}"
    description = re.sub(r"\[/?\w*\]", "`", wrapped(command.help or ""))
    parts = [f"\n## {path}\n\n    {usage}\n\n{description}\n"]
    if arguments:
        rows = [f"| `{argument_name(a)}` | {a.help} |\n" for a in arguments]
        parts += ["\n| argument | meaning |\n|---|---|\n", *rows]
    if options:
        parts += ["\n| option | default | meaning |\n|---|---|---|\n", *map(option_row, options)]
    return "".join(parts)


def wrapped(text: str) -> str:
    """Paragraphs of one line each, broken as the rest of the docs is."""
    return "\n".join(
        line if len(line) <= WIDTH else textwrap.fill(line, WIDTH, break_on_hyphens=False)
        for line in inspect.cleandoc(text).splitlines()
    )


def is_plumbing(parameter: Any) -> bool:
    """Whether a parameter is one that every Typer program has."""
    return parameter.name in ("help", "install_completion", "show_completion")


def argument_name(argument: Any) -> str:
    """As it stands in a usage line."""
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def option_row(option: Any) -> str:
    """One line of the table of options."""
    names = ", ".join(f"`{name}`" for name in option.opts)
    shown = ",".join(map(str, option.default)) if is_list(option.default) else option.default
    default = "" if option.default is None or option.default is False else f"`{shown}`"
    text = (option.help or "").replace("|", "\\|")
    return f"| {names} | {default} | {text} |\n"


def is_list(value: Any) -> bool:
    """Whether a default is several values."""
    return isinstance(value, tuple | list)


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where it is stale")
    arguments = parser.parse_args()
    page = make_page()
    if arguments.check:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == page:
            return 0
        print(f"{TARGET.relative_to(PROJECT)} is stale: run `make docs`", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
