"""Write docs/man/retrain.1 and the completion files from the commands; `--check` where stale.

python tools/make_man_page.py [--check]

The wheel puts them where `man` and the shells look. The page is roff by the macros of man(7).
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from make_cli_docs import EXIT_STATUS, argument_name, is_list, is_plumbing

from retrain_cli import __version__
from retrain_cli.cli.main import app

PROJECT = Path(__file__).resolve().parent.parent
MAN_PAGE = "docs/man/retrain.1"
COMPLETIONS = {
    "bash": "docs/completions/retrain",
    "zsh": "docs/completions/_retrain",
    "fish": "docs/completions/retrain.fish",
}
ENVIRONMENT = {
    "RETRAIN_WORKSPACE": "Folder of the tool's state, in place of .retrain in this folder.",
    "RETRAIN_CONFIG": "File of settings, in place of retrain.toml in this folder.",
    "RETRAIN_OPTION, RETRAIN_COMMAND_OPTION": "A default, such as RETRAIN_TRAIN_STEPS=2000.",
    "RETRAIN_API_KEY": "What requests to the service have to show.",
    "RETRAIN_BROWSER": "The browser that prints reports as PDF.",
    "KERAS_BACKEND": "The engine: tensorflow, jax or torch.",
    "NO_COLOR": "No colours.",
}
FILES = {
    ".retrain": "The workspace: cached bottlenecks, runs, studies.",
    "retrain.toml": "Settings that hold in this folder.",
}


def man_page() -> str:
    """The whole page."""
    status = {code: f"{meaning}." for code, meaning in EXIT_STATUS.items()}
    root = typer.main.get_command(app)
    lines = [
        r".\" Made by `make docs`; do not edit.",
        f'.TH RETRAIN 1 "" "retrain {__version__}" "User Commands"',
        ".nh",
        ".ad l",
        ".SH NAME",
        r"retrain \- turn a folder of photos into a trained, measured image classifier",
        ".SH SYNOPSIS",
        r".B retrain",
        r".I COMMAND",
        "[OPTIONS]",
        ".SH DESCRIPTION",
        *paragraphs(root.help or ""),
        *options(root),
        ".SH COMMANDS",
        *commands(root, "retrain"),
        *table("EXIT STATUS", status),
        *table("ENVIRONMENT", ENVIRONMENT),
        *table("FILES", FILES),
    ]
    return "\n".join(lines) + "\n"


def commands(group: Any, path: str) -> Iterator[str]:
    """Each command of a group, and what stands below it."""
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield from one_command(command, f"{path} {name}")
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")


def one_command(command: Any, path: str) -> Iterator[str]:
    """Usage, description and parameters."""
    shown = [one for one in command.params if not is_plumbing(one)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    usage = [path, *map(argument_name, arguments), *["[OPTIONS]"] * (len(shown) > len(arguments))]
    yield f".SS {escaped(' '.join(usage))}"
    yield from paragraphs(command.help or "")
    for one in arguments:
        yield from tagged(argument_name(one), one.help or "")
    yield from options(command)


def options(command: Any) -> Iterator[str]:
    """The options of a command."""
    for one in command.params:
        if one.param_type_name == "option" and not is_plumbing(one):
            default = ",".join(map(str, one.default)) if is_list(one.default) else one.default
            told = one.default is not None and one.default is not False and default != ""
            text = f"{one.help or ''} [default: {default}]" if told else one.help or ""
            yield from tagged(", ".join(one.opts), text)


def table(title: str, rows: dict[str, str]) -> Iterator[str]:
    """A section of names and what they mean."""
    yield f".SH {title}"
    for name, text in rows.items():
        yield from tagged(name, text)


def tagged(tag: str, text: str) -> Iterator[str]:
    """A name in bold, and under it what it means."""
    yield from (".TP", f".B {escaped(tag)}", escaped(text))


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a help text, without its marks."""
    plain = re.sub(r"\[/?\w*\]", "", inspect.cleandoc(text))
    for paragraph in plain.split("\n\n"):
        yield ".PP"
        yield escaped(" ".join(paragraph.split()))


def escaped(text: str) -> str:
    """Text as roff prints it: no macro at its beginning, hyphens that can be typed."""
    plain = " ".join(text.split()).replace("\\", "\\(rs").replace("-", "\\-").replace("`", "\\(ga")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def completion(shell: str) -> str:
    """What makes a shell ask `retrain` how a line may go on."""
    command = [sys.executable, "-m", "retrain_cli"]
    environment = {**os.environ, "_RETRAIN_COMPLETE": f"source_{shell}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.lstrip()  # zsh reads its first line


def made() -> dict[str, str]:
    """Every file by its path."""
    scripts = {path: completion(shell) for shell, path in COMPLETIONS.items()}
    return {MAN_PAGE: man_page(), **scripts}


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 where one is stale")
    check = parser.parse_args().check
    stale = 0
    for name, text in made().items():
        path = PROJECT / name
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{name} is stale: run `make docs`", file=sys.stderr)
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
