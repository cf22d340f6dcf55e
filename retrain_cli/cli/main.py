"""The `retrain` command: global options, sub-commands, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from retrain_cli import __version__
from retrain_cli.cli import console
from retrain_cli.cli.commands import cache, runs, study
from retrain_cli.cli.commands.add_class import add_class
from retrain_cli.cli.commands.bottlenecks import bottlenecks
from retrain_cli.cli.commands.check import check
from retrain_cli.cli.commands.classes import classes
from retrain_cli.cli.commands.compare import compare
from retrain_cli.cli.commands.demo import demo
from retrain_cli.cli.commands.doctor import doctor
from retrain_cli.cli.commands.eval import evaluate
from retrain_cli.cli.commands.label import label
from retrain_cli.cli.commands.report import report
from retrain_cli.cli.commands.similar import similar
from retrain_cli.cli.commands.train import train
from retrain_cli.errors import RetrainError
from retrain_cli.workspace import Workspace

# Typer carries a copy of Click inside or depends on it, by version; this is the class either way.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

EXIT_FAULT = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""As the shell reports a program that ended with SIGPIPE."""


class RetrainGroup(TyperGroup):
    """The root command; every sub-command runs inside `exit_codes`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which people meet them."""
        order = (
            "bottlenecks",
            "train",
            "eval",
            "label",
            "report",
            "compare",
            "study",
            "check",
            "similar",
            "classes",
            "add-class",
            "runs",
            "cache",
            "doctor",
            "demo",
        )
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: order.index(name) if name in order else len(order))

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command that was named."""
        with exit_codes():
            return super().invoke(ctx)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what escapes a command into one clear line and the documented exit code."""
    try:
        yield
        console.flush()
    except _UsageError:
        raise  # Typer shows the usage, and exits with 2
    except RetrainError as error:
        _leave(error, str(error), error.exit_code)
    except KeyboardInterrupt as interrupt:
        _leave(interrupt, "interrupted; everything that was finished is kept", EXIT_INTERRUPTED)
    except BrokenPipeError:  # the next program of the pipe has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)
    except Exception as fault:
        reason = f"{type(fault).__name__}: {fault}"
        _leave(fault, f"unexpected fault: {reason} (--verbose shows where)", EXIT_FAULT)


def _leave(cause: BaseException, message: str, code: int) -> None:
    if not isinstance(cause, typer.Exit | SystemExit):
        console.error(message)
        if console.is_verbose():
            console.trace()
        sys.exit(code)
    raise cause


app = typer.Typer(
    name="retrain",
    cls=RetrainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.line(f"retrain {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds the tool's state "
            "(default: $RETRAIN_WORKSPACE, else .retrain in this folder).",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but results, warnings and errors.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the engines' own messages and tracebacks.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Turn a folder of photos into a trained, measured image classifier.

    The main job, in order: [bold]retrain bottlenecks ./photos[/], [bold]retrain train[/],
    [bold]retrain eval --top5[/], [bold]retrain label new/*.jpg[/].
    The options below may stand before or after the command's name.
    """
    from retrain_cli.engine import set_verbose

    console.configure(quiet=quiet, verbose=verbose)
    set_verbose(verbose)
    ctx.obj = Workspace.locate(workspace)


_MAIN, _JUDGE, _PHOTOS, _KEEP = (
    "The main job",
    "How good is it",
    "Photos and classes",
    "Looking after things",
)
app.command(name="bottlenecks", rich_help_panel=_MAIN)(bottlenecks)
app.command(name="train", rich_help_panel=_MAIN)(train)
app.command(name="eval", rich_help_panel=_MAIN)(evaluate)
app.command(name="label", rich_help_panel=_MAIN)(label)
app.command(name="report", rich_help_panel=_JUDGE)(report)
app.command(name="compare", rich_help_panel=_JUDGE)(compare)
app.add_typer(study.app, name="study", rich_help_panel=_JUDGE)
app.command(name="check", rich_help_panel=_PHOTOS)(check)
app.command(name="similar", rich_help_panel=_PHOTOS)(similar)
app.command(name="classes", rich_help_panel=_PHOTOS)(classes)
app.command(name="add-class", rich_help_panel=_PHOTOS)(add_class)
app.add_typer(runs.app, name="runs", rich_help_panel=_KEEP)
app.add_typer(cache.app, name="cache", rich_help_panel=_KEEP)
app.command(name="doctor", rich_help_panel=_KEEP)(doctor)
app.command(name="demo", rich_help_panel=_KEEP)(demo)


_GLOBAL_FLAGS = frozenset({"--quiet", "-q", "--verbose"})


def hoist_global_options(arguments: list[str]) -> list[str]:
    """Move the global options to the front, so that they work after the sub-command's name too."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _GLOBAL_FLAGS or argument.startswith("--workspace="):
            front.append(argument)
        elif argument == "--workspace":
            front += [argument, *[value for value in [next(remaining, None)] if value is not None]]
        else:
            rest.append(argument)
    return front + rest


def expand_wildcards(arguments: list[str]) -> list[str]:
    """Replace patterns such as `new/*.jpg` by the files that they match, as shells do on Linux.

    What matches nothing stays as it is, and so does the name of a file that looks like a pattern.
    `**` matches folders at any depth.
    """
    import glob

    expanded: list[str] = []
    for argument in arguments:
        is_pattern = glob.has_magic(argument) and not os.path.lexists(argument)
        # Text in, text out: pathlib would change how a path is written.
        found = sorted(glob.glob(argument, recursive=True)) if is_pattern else []  # noqa: PTH207
        expanded += found or [argument]
    return expanded


def main() -> None:
    """Entry point of the console script."""
    with exit_codes():  # here for Ctrl-C while the command line is still being built
        # The shells of Windows leave it to each program, and Typer expands only what it reads
        # from the system itself.
        arguments = expand_wildcards(sys.argv[1:]) if os.name == "nt" else sys.argv[1:]
        app(args=hoist_global_options(arguments), prog_name="retrain")
