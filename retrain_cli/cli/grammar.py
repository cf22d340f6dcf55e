"""What all commands have in common: how they are asked for, and where their settings come from.

A name that other programs use for the same thing leads to the command here, and a slip of the
finger to the one that was meant.
"""

from __future__ import annotations

import difflib
import inspect
import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from retrain_cli.checks import by_peer, not_one_of
from retrain_cli.cli import log_file
from retrain_cli.cli.settings import OuterSetting, OuterSettings, name_of
from retrain_cli.errors import ConfigError
from retrain_cli.flags import flag_of

# Typer carries a copy of Click inside or depends on it, by version; this is the class either way.
UsageError: type[Exception] = typer.BadParameter.__bases__[0]

_SETTINGS, _OWN = "retrain_cli.settings", "retrain_cli.own_settings"
"""Where Click's context keeps all settings, and those that the command at work has of them."""

_SAME_AS = {
    "bottlenecks": "bottleneck embed embeddings encode extract extraction features prepare",
    "train": "fit learn retrain run start transfer",
    "finetune": "fine-tune tune-all unfreeze thaw",
    "train --init-from RUN": "continue resume",
    "eval": "val valid validate validation evaluate evaluation test score metrics accuracy",
    "label": "predict prediction predictions classify classification infer inference tag detect",
    "export": "convert deploy freeze quantise quantize tflite onnx",
    "bundle": "pack package archive",
    "report": "html page summary",
    "compare": "diff comparison versus vs",
    "search": "tune tuning sweep hpo optimize optimise hyperparameters grid gridsearch optuna",
    "study": "experiment experiments paper",
    "check": "clean cleanup dedup dedupe duplicates lint quality",
    "similar": "find nearest neighbors neighbours retrieve",
    "classes": "labels class categories",
    "add-class": "add addclass extend grow new-class",
    "runs": "ls list models history",
    "runs show": "show describe",
    "runs rm": "rm remove delete del",
    "runs rename": "rename mv move",
    "runs note": "note annotate comment",
    "runs path": "path where",
    "cache gc": "gc prune",
    "cache verify": "verify fsck",
    "cache merge": "merge import",
    "doctor": "info env environment devices gpu status init setup",
    "doctor --backbones": "backbones networks zoo",
    "demo": "example examples tutorial quickstart sample samples",
    "config show": "settings configuration",
    "--version": "version",
    "--install-completion": "completion completions",
}
HINTS = by_peer(_SAME_AS)
SUB_HINTS = {
    "runs": {
        **dict.fromkeys(("list", "ls", "all"), "runs"),
        **dict.fromkeys(("delete", "del", "remove"), "runs rm"),
        **dict.fromkeys(("info", "describe", "get", "cat"), "runs show"),
        **dict.fromkeys(("mv", "move"), "runs rename"),
        **dict.fromkeys(("comment", "annotate", "tag"), "runs note"),
        **dict.fromkeys(("folder", "where"), "runs path"),
        **dict.fromkeys(("compare", "diff"), "compare"),
    },
    "cache": {
        **dict.fromkeys(("list", "ls", "show", "stat", "size"), "cache info"),
        **dict.fromkeys(("check", "repair", "fsck"), "cache verify"),
        **dict.fromkeys(("clean", "clear", "prune", "rm", "purge", "delete"), "cache gc"),
        **dict.fromkeys(("import", "add", "copy"), "cache merge"),
        **dict.fromkeys(("dump", "save"), "cache export"),
    },
    "config": dict.fromkeys(("list", "ls", "get", "path"), "config show"),
    "study": {
        **dict.fromkeys(("mix", "mixes", "intext", "known-new"), "study int-ext"),
        **dict.fromkeys(("curve", "learning-curve", "images", "sizes"), "study examples"),
        **dict.fromkeys(("hist", "bins", "classes"), "study histogram"),
        **dict.fromkeys(("easy", "hard", "hardness", "difficult"), "study difficulty"),
        **dict.fromkeys(("fewshot", "few", "one-shot", "add-class"), "study few-shot"),
        **dict.fromkeys(("tune", "tuning", "grid", "sweep", "optimizers"), "study tuning-guide"),
        **dict.fromkeys(("time", "energy", "price", "speed"), "study cost"),
        **dict.fromkeys(("top", "original", "imagenet", "zero-shot"), "study stock"),
        **dict.fromkeys(("source", "target", "similarity", "clusters"), "study source-target"),
    },
    "dataset": dict.fromkeys(("divide", "cut", "source-target"), "dataset split"),
}


class RetrainCommand(TyperCommand):
    """A command whose options can be set in a file and in the environment."""

    def __init__(self, *arguments: Any, help: str | None = None, **more: Any) -> None:
        super().__init__(*arguments, help=flowing(help), **more)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters; a flag takes no value, so its help shows no type."""
        return without_flag_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take over what is set elsewhere, then what was typed."""
        take_over_settings(ctx)
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except UsageError as error:
            raise _with_source(error, ctx) from error
        except ConfigError as error:  # of what makes a value of one word
            raise _with_places(error, ctx) from error
        _let_typed_go_first(ctx)
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run it; a value that cannot work is told with the place where it was set."""
        log_file.settings(_described(ctx))
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise _with_places(error, ctx) from error


class Group(TyperGroup):
    """A command with sub-commands."""

    def __init__(self, *arguments: Any, help: str | None = None, **more: Any) -> None:
        super().__init__(*arguments, help=flowing(help), **more)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters; a flag takes no value, so its help shows no type."""
        return without_flag_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take over what is set elsewhere, then what was typed."""
        take_over_settings(ctx)
        return list(super().parse_args(ctx, args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that was named; ConfigError with what is meant where there is none such."""
        name = args[0]
        is_word = not ctx.resilient_parsing and not name.startswith("-")
        if is_word and self.get_command(ctx, name) is None:
            raise ConfigError(_no_such_command(name, self, ctx))
        return super().resolve_command(ctx, args)


def flowing(text: str | None) -> str | None:
    """A docstring whose paragraphs are one line each, which ends where the screen does.

    Paragraphs with indented lines, such as examples, stay as they are.
    """
    if text is None:
        return None
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(
        one if re.search(r"^\s", one, re.MULTILINE) else " ".join(one.splitlines())
        for one in paragraphs
    )


def without_flag_types(parameters: list[Any]) -> list[Any]:
    """Let the help show `--verbose` in place of `--verbose <bool>`."""
    for one in parameters:
        if getattr(one, "is_flag", False):
            one.metavar = ""
    return parameters


def _no_such_command(name: str, group: Group, ctx: Any) -> str:
    path = command_path(ctx)
    owner = " ".join(("retrain", *path))
    hints = SUB_HINTS.get(path[0], {}) if path else HINTS
    named = {one: " ".join((*path, one)) for one in group.list_commands(ctx)}
    start = f"`{owner}` has no command {name!r}"
    if hint := hints.get(name.lower()):
        return f"{start}: {hint if '`' in hint else f'use `retrain {hint}`'}"
    close = difflib.get_close_matches(name.lower(), named)
    if not close:
        close, named = difflib.get_close_matches(name.lower(), hints, 1), hints
    meant = " or ".join(f"`retrain {named[one]}`" for one in close if "`" not in named[one])
    return f"{start}: did you mean {meant}?" if meant else f"{start}: `{owner} --help` lists them"


# -- settings from elsewhere ---------------------------------------------------------------------


def command_path(ctx: Any) -> tuple[str, ...]:
    """What is typed for a command, without `retrain`."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, ctx.info_name)
        ctx = ctx.parent
    return tuple(names)


def keep_settings(ctx: Any, settings: OuterSettings) -> None:
    """Let the commands below this context find the settings."""
    ctx.meta[_SETTINGS] = settings


def settings_of(ctx: Any) -> OuterSettings:
    """What is set elsewhere."""
    found = ctx.meta.get(_SETTINGS)
    return found if isinstance(found, OuterSettings) else OuterSettings(None, {})


def take_over_settings(ctx: Any) -> None:
    """Make defaults of what is set elsewhere for the command of this context."""
    try:
        own = settings_of(ctx).of(command_path(ctx), ctx.command)
    except ConfigError:
        if not ctx.resilient_parsing:  # completion goes on without
            raise
        own = {}
    ctx.meta[_OWN] = own
    ctx.default_map = {name: one.value for name, one in own.items()}


def is_typed(ctx: Any, name: str) -> bool:
    """Whether a parameter stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def check_goes_with(ctx: Any, options: dict[str, str], needed: str, *, given: bool) -> None:
    """Refuse options that do nothing without another one.

    Args:
        ctx: Click's context.
        options: by their names in Click, as they are typed.
        needed: the other one, as it is typed.
        given: whether that is there.

    Raises:
        ConfigError: one of them stands on the command line, and the other does not.
    """
    for name, flag in options.items():
        if not given and is_typed(ctx, name):
            raise ConfigError(f"{flag} goes with {needed}: add that, or leave {flag} out")


_INSTEAD = (("json", "csv"), ("csv", "json"), ("run_option", "run"))
"""Of each pair the first means nothing where it is set elsewhere and the second is typed."""


def _let_typed_go_first(ctx: Any) -> None:
    for name, typed in _INSTEAD:
        if name in _own_settings(ctx) and is_typed(ctx, typed):
            ctx.params[name] = None if name.endswith("_option") else False
            del ctx.meta[_OWN][name]


def _own_settings(ctx: Any) -> dict[str, OuterSetting]:
    """Those of the command at work that no flag overrides."""
    own: dict[str, OuterSetting] = ctx.meta.get(_OWN, {})
    return {name: one for name, one in own.items() if not is_typed(ctx, name)}


def _with_source(error: Any, ctx: Any) -> Exception:
    """A value that cannot be converted, with the place where it was set."""
    parameter: Any = getattr(error, "param", None)
    setting = _own_settings(ctx).get(parameter.name) if parameter is not None else None
    if setting is None:
        return error  # type: ignore[no-any-return]
    said = not_a_choice(error)
    if said is None:
        reason = " ".join(str(error.message).split())
        said = f"{name_of(parameter)} cannot be {setting.value!r} ({reason})"
    return ConfigError(f"{setting.source}: {said}")


# In the words of Click and of the versions of Typer that do without it.
_NOT_A_CHOICE = re.compile(r"(?P<value>'.*'|\".*\") is not one of (?P<choices>.+?)\.?$")


def not_a_choice(error: Any) -> str | None:
    """What is said of a value outside of the choices, as `checks` says it; None of other errors."""
    found = _NOT_A_CHOICE.search(error.message)
    option: Any = getattr(error, "param", None)
    if option is None or not found:
        return None
    choices = found["choices"].replace("'", "").split(", ")
    return not_one_of(name_of(option), tuple(choices), found["value"][1:-1])


def _with_places(error: ConfigError, ctx: Any) -> ConfigError:
    """A value that cannot work, with the place where it was set."""
    places = _places(error.worded(flag_of), ctx)
    return ConfigError(f"{error.worded(flag_of)}; {places}") if places else error


def _places(message: str, ctx: Any) -> str:
    """Where the options were set that a message names; empty where none was set elsewhere."""
    options = {option.name: option for option in ctx.command.params}
    return ", ".join(
        f"{name_of(options[name])} is set by {one.source}"
        for name, one in _own_settings(ctx).items()
        if f"{name_of(options[name])} " in f"{message} " and one.source not in message
    )


def _described(ctx: Any) -> dict[str, str]:
    """The parameters that are not as usual, with the places that set them, for the log."""
    own = _own_settings(ctx)
    return {
        name: f"{ctx.params[name]!r}" + (f" ({own[name].source})" if name in own else "")
        for name in ctx.params
        if name in own or is_typed(ctx, name)
    }
