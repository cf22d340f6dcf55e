"""The `retrain` command: global options, sub-commands, exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperCommand

from retrain_cli import __version__, interrupts, notices
from retrain_cli.cli import console, environment, log_file
from retrain_cli.cli.commands import COMMANDS
from retrain_cli.cli.grammar import (
    Group,
    RetrainCommand,
    UsageError,
    keep_settings,
    not_a_choice,
    settings_of,
    take_over_settings,
)
from retrain_cli.cli.settings import OuterSettings
from retrain_cli.cli.signatures import command
from retrain_cli.errors import ConfigError, RetrainError
from retrain_cli.flags import flag_of
from retrain_cli.paths import absolute
from retrain_cli.workspace import Workspace

_TYPED = "retrain_cli.typed"
"""Where Click's context keeps the command as it was typed."""

EXIT_FAULT = 1
EXIT_BROKEN_PIPE = 141
"""As the shell reports a program that ended with SIGPIPE."""


class RetrainGroup(Group):
    """The root command; every sub-command runs inside `exit_codes`."""

    _only_listed = False

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command, imported now: no other command's request is needed for it."""
        if name not in COMMANDS:
            return None
        if self._only_listed:
            return _outline(name)
        if name not in self.commands:
            self.commands[name] = _load(name)
        return self.commands[name]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The list of commands, of which none is imported for it."""
        with self._only_listing():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The names of the commands, of which none is imported for it."""
        with self._only_listing():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _only_listing(self) -> Iterator[None]:
        self._only_listed = True
        try:
            yield
        finally:
            self._only_listed = False

    def make_context(self, info_name: Any, args: list[str], *rest: Any, **extra: Any) -> Any:
        """Where options for all commands stand behind the command's name, they count, too."""
        typed = list(args)
        with exit_codes():
            made = super().make_context(info_name, hoist_global_options(args), *rest, **extra)
        made.meta[_TYPED] = typed
        return made

    def invoke(self, ctx: Any) -> Any:
        """Run the sub-command that was named."""
        with exit_codes():
            return super().invoke(ctx)


def _outline(name: str) -> Any:
    entry = COMMANDS[name]
    outline: Any = TyperCommand(name, help=entry.summary)
    outline.rich_help_panel = entry.panel
    return outline


def _load(name: str) -> Any:
    entry = COMMANDS[name]
    file, _, attribute = entry.place.partition(":")
    found = getattr(import_module(f"retrain_cli.cli.commands.{file}"), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name=name, cls=RetrainCommand)(found)
        found = alone
    loaded: Any = typer.main.get_command(found)
    loaded.name, loaded.rich_help_panel = name, entry.panel
    return loaded


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turn what escapes a command into one clear line and the documented exit code."""
    try:
        yield
        console.flush()
    except UsageError as error:
        said = not_a_choice(error)
        if said is None:
            log_file.entry("error", str(getattr(error, "message", error)))
            raise  # Typer shows the usage, and exits with 2
        _leave(error, said, ConfigError.exit_code)
    except RetrainError as error:
        if refused := environment.refusal_beneath(error):
            _leave(error, refused, environment.EXIT_REFUSED)
        _leave(error, error.worded(flag_of), error.exit_code)
    except KeyboardInterrupt as stop:
        _leave_interrupted(stop)
    except BrokenPipeError:  # the next program of the pipe has had enough
        environment.drop_output()
        sys.exit(EXIT_BROKEN_PIPE)
    except Exception as fault:
        if refused := environment.refusal(fault):
            with suppress(OSError):
                console.flush()
            environment.drop_output()
            _leave(fault, refused, environment.EXIT_REFUSED)
        reason = f"{type(fault).__name__}: {fault}"
        _leave(fault, f"unexpected fault: {reason} (--verbose shows where)", EXIT_FAULT)


def _leave_interrupted(stop: KeyboardInterrupt) -> None:
    request = stop if isinstance(stop, interrupts.Interruption) else interrupts.Interruption()
    who = "" if request.number == signal.SIGINT else f" by {signal.Signals(request.number).name}"
    kept = request.kept or "everything that was finished is kept"
    _leave(stop, f"interrupted{who}; {kept}", request.exit_code)


def _leave(cause: BaseException, message: str, code: int) -> None:
    if not isinstance(cause, typer.Exit | SystemExit):
        console.error(message)
        log_file.fault(cause)
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


def _find_settings(ctx: typer.Context, chosen: str | None) -> str | None:
    """Before other options are looked at: what is set in a file, or in the environment."""
    try:
        keep_settings(ctx, OuterSettings.find(chosen))
    except ConfigError:
        if not ctx.resilient_parsing:  # completion goes on without
            raise
    take_over_settings(ctx)
    return chosen


@app.callback()
@command
def root(
    ctx: typer.Context,
    workspace: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds the tool's state "
            "(default: $RETRAIN_WORKSPACE, else .retrain in this folder).",
            show_default=False,
        ),
    ],
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but results, warnings and errors.")
    ],
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Show the engines' own messages and tracebacks.")
    ],
    config: Annotated[
        str | None,
        typer.Option(
            callback=_find_settings,
            is_eager=True,
            metavar="<path>",
            help="File of settings in TOML, or none for neither a file nor RETRAIN_* variables "
            "(default: $RETRAIN_CONFIG, else retrain.toml in this folder).",
            show_default=False,
        ),
    ],
    log: Annotated[
        Path | None,
        typer.Option(help="Append what was run, said and measured to this file."),
    ],
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ],
) -> None:
    """Turn a folder of photos into a trained, measured image classifier.

    The main job, in order: [bold]retrain bottlenecks ./photos[/], [bold]retrain train[/],
    [bold]retrain eval --top5[/], [bold]retrain label new/*.jpg[/].
    The options below may stand before or after the command's name.
    """
    from retrain_cli.engine import serve_a_command, set_verbose

    console.configure(quiet=quiet, verbose=verbose)
    set_verbose(verbose)
    serve_a_command()
    if log is not None:
        log_file.start(absolute(log), ctx.meta[_TYPED], __version__, console.warn)
    notices.listen(console.warn)
    settings_of(ctx).check(ctx.command)
    ctx.obj = Workspace.locate(workspace)


_GLOBAL_FLAGS = frozenset({"--quiet", "-q", "--verbose"})
_GLOBAL_VALUES = frozenset({"--workspace", "--config", "--log"})


def hoist_global_options(arguments: list[str]) -> list[str]:
    """Move the global options to the front, so that they work after the sub-command's name too."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in _GLOBAL_FLAGS or argument.partition("=")[0] in _GLOBAL_VALUES:
            value = [] if argument in _GLOBAL_FLAGS or "=" in argument else [next(remaining, None)]
            if None in value:
                return [*front, argument]  # so that its value is missed, not taken from the others
            front += [argument, *[one for one in value if one is not None]]
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


def _run(arguments: list[str]) -> None:
    """Run the command; what it printed is handed on here, where it is told that this fails."""
    try:
        app(args=arguments, prog_name="retrain")
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # Rich, which prints help, ends with 1
            sys.exit(EXIT_BROKEN_PIPE)
        try:
            console.flush()
        except OSError:
            if not left.code:
                raise
            environment.drop_output()  # an error was told already
        raise


_SELDOM = (100_000, 20, 20)
"""Objects, and generations, until Python looks for garbage: imports make many and leave none.

With Python's own numbers this search is a fifth of a short command, and more of TensorFlow's start.
"""


def main() -> None:
    """Entry point of the console script."""
    gc.set_threshold(*_SELDOM)
    environment.open_missing_streams()
    try:
        with exit_codes():  # here for Ctrl-C while the command line is still being built
            environment.spare_address_space()
            interrupts.heed(console.tell_of_request, console.leave_terminal)
            # The shells of Windows leave it to each program, and Typer expands only what it reads
            # from the system itself.
            arguments = expand_wildcards(sys.argv[1:]) if os.name == "nt" else sys.argv[1:]
            _run(arguments)
    except SystemExit as left:
        log_file.end(left.code if isinstance(left.code, int) else 0)
        raise
