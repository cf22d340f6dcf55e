"""The commands of the command line, as tests that look at each of them find them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import typer.main
from helpers import Outcome

from retrain_cli.cli import console
from retrain_cli.cli.main import app, exit_codes, hoist_global_options

ROOT: Any = typer.main.get_command(app)
"""The command itself, to be called as `app`, which builds it and all that it calls anew each time.

That takes longer than most of what tests do with it; a process of the user's does it once.
"""

PLUMBING = {"help", "install_completion", "show_completion"}


def every_command() -> dict[str, Any]:
    """All commands that do something, by what is typed for them."""
    found: dict[str, Any] = {}

    def visit(command: Any, path: str) -> None:
        if hasattr(command, "list_commands"):
            for name in command.list_commands(None):
                visit(command.get_command(None, name), f"{path} {name}".strip())
        else:
            found[path] = command

    visit(ROOT, "")
    return found


EVERY = every_command()


def parameters(command: Any) -> dict[str, Any]:
    return {one.name: one for one in command.params if one.name not in PLUMBING}


def run_here(arguments: Sequence[str], capfd: pytest.CaptureFixture[str]) -> Outcome:
    """Run `retrain` in this process, as a process of its own would."""
    forget_standard_error()
    with pytest.raises(SystemExit) as left, exit_codes():
        ROOT(args=hoist_global_options([*arguments]), prog_name="retrain")
    code = left.value.code
    return Outcome(code if isinstance(code, int) else int(bool(code)), *capfd.readouterr())


def forget_standard_error() -> None:
    """As at the start of a process."""
    console._stderr().file.close()
    console._stderr.cache_clear()
    console._error_descriptor.cache_clear()
