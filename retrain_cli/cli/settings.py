"""Settings that do not stand on the command line: `retrain.toml` and the environment.

A flag goes before the environment, that before the file, and the file before the default:

    backbone = "vgg16"       # for every command that has --backbone
    [train]
    steps = 500
    [study.int-ext]
    repeats = 3

RETRAIN_TRAIN_STEPS is `[train] steps`, and RETRAIN_BACKBONE is `backbone` for every command. What
is found becomes the defaults of Click's options, so that they are converted as what is typed.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from retrain_cli.errors import ConfigError
from retrain_cli.paths import absolute
from retrain_cli.runs.command_lines import comma_list
from retrain_cli.storage.urls import is_url

FILE_NAME = "retrain.toml"
VARIABLE = "RETRAIN_CONFIG"
NO_SETTINGS = "none"
"""What `--config` takes for neither a file nor the environment."""

_PREFIX = "RETRAIN_"
_PLUMBING = {"help", "version", "install_completion", "show_completion", "config"}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_PATHS_OR_WORDS = {"weights", "source_classes", "run", "init_from"}
"""Options that take a word or a path: a path where something lies there."""

CommandPath = tuple[str, ...]
"""The names that are typed for a command: `("study", "int-ext")`, and none for `retrain` itself."""


@dataclass(frozen=True)
class OuterSetting:
    """A value for an option, and where it was found.

    Attributes:
        value: as Click takes a default: a text, a flag, or a list.
        source: `RETRAIN_TRAIN_STEPS`, or `retrain.toml, line 3`.
    """

    value: Any
    source: str


@dataclass(frozen=True)
class SettingsFile:
    """A file of settings, as it was read.

    Attributes:
        path: where it is.
        text: its content.
        tables: the values.
    """

    path: Path
    text: str
    tables: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> SettingsFile:
        """Read the file.

        Raises:
            ConfigError: it cannot be read, or is no TOML.
        """
        try:
            text = path.read_bytes().decode("utf-8-sig")
            return cls(path, text, _parse(text))
        except OSError as error:
            reason = error.strerror or str(error)
        except ValueError as error:  # UnicodeDecodeError and TOMLDecodeError are such
            reason = str(error)
        raise ConfigError(
            f"settings must be a file in TOML, and {path} cannot be read as that ({reason}): "
            "correct it, or choose another one with --config FILE"
        )

    def table(self, path: CommandPath) -> Mapping[str, Any]:
        """What is said for a command, or before the first table for none."""
        found: Any = self.tables
        for name in path:
            found = found.get(name, {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}

    def place(self, path: CommandPath, key: str) -> str:
        """Where a key, or the table of a command, stands: `retrain.toml, line 3`."""
        table: CommandPath = ()
        for number, line in enumerate(self.text.splitlines(), start=1):
            if header := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line):
                table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
                if table == (*path, key):
                    return f"{self.path.name}, line {number}"
            elif table == path and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line):
                return f"{self.path.name}, line {number}"
        where = f"[{'.'.join(path)}] {key}" if path else key
        return f"{self.path.name}, {where}"


def _parse(text: str) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        parsed: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return parsed


@dataclass(frozen=True)
class OuterSettings:
    """All that is set outside of the command line.

    Attributes:
        file: the file; None where there is none.
        environment: the variables; empty where they are not to be heeded.
    """

    file: SettingsFile | None
    environment: Mapping[str, str]

    @classmethod
    def find(cls, chosen: str | None = None) -> OuterSettings:
        """Those of a file: `--config`, else $RETRAIN_CONFIG, else `retrain.toml` in this folder.

        Raises:
            ConfigError: the file that was chosen cannot be read, or is no TOML.
        """
        wanted = chosen or os.environ.get(VARIABLE) or ""
        if wanted == NO_SETTINGS:
            return cls(None, {})
        path = absolute(wanted or FILE_NAME)
        file = SettingsFile.read(path) if wanted or path.is_file() else None
        return cls(file, dict(os.environ))

    def of(self, path: CommandPath, command: Any) -> dict[str, OuterSetting]:
        """What is set for the options of a command, by their names in Click.

        Raises:
            ConfigError: a value is of a kind that the option does not take.
        """
        found: dict[str, OuterSetting] = {}
        for option in options_of(command):
            setting = self._in_environment(path, option) or self._in_file(path, option)
            if setting is not None:
                found[option.name] = setting
        return found

    def _in_environment(self, path: CommandPath, option: Any) -> OuterSetting | None:
        for variable in variables_of(path, option):
            if text := self.environment.get(variable):  # an empty one is none, as everywhere
                return OuterSetting(_from_text(text, option, variable), variable)
        return None

    def _in_file(self, path: CommandPath, option: Any) -> OuterSetting | None:
        for length in range(len(path), -1, -1) if self.file else ():
            assert self.file is not None
            table = self.file.table(path[:length])
            for key in table:
                if key.replace("_", "-") in keys_of(option) and not _is_table(table[key]):
                    place = self.file.place(path[:length], key)
                    return OuterSetting(
                        _from_file(table[key], option, place, self.file.path), place
                    )
        return None

    def check(self, root: Any) -> None:
        """Check that every table of the file is a command, and every key an option of it.

        Raises:
            ConfigError: one is not; the message names the line, and what comes close.
        """
        if self.file is not None:
            self._check((), root, self.file.tables)

    def _check(self, path: CommandPath, command: Any, table: Mapping[str, Any]) -> None:
        assert self.file is not None
        for key, value in table.items():
            inner = _sub_command(command, key) if _is_table(value) else None
            if inner is not None:
                self._check((*path, key), inner, value)
            elif _is_table(value) or not _takes(command, key.replace("_", "-")):
                self._refuse(path, command, key, is_table=_is_table(value))
        self.of(path, command)

    def _refuse(self, path: CommandPath, command: Any, key: str, *, is_table: bool) -> None:
        assert self.file is not None
        place, owner = self.file.place(path, key), " ".join(("retrain", *path))
        if not is_table and key in _names(command):
            table = ".".join((*path, key))
            raise ConfigError(f"{place}: {key} is a command: its settings stand below [{table}]")
        names = _names(command) if is_table else sorted(_every_key(command))
        close = difflib.get_close_matches(key.replace("_", "-"), names, 2)
        kind = "table is a command" if is_table else "key is the name of an option"
        hint = f"did you mean {' or '.join(close)}?" if close else f"`{owner} --help` lists them"
        raise ConfigError(f"{place}: a {kind} of `{owner}`, and {key!r} is none: {hint}")


def options_of(command: Any) -> Iterator[Any]:
    """The options of a command that can be set outside of the command line."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name not in _PLUMBING:
            yield parameter


def keys_of(option: Any) -> list[str]:
    """What an option is called in the file: its long names without dashes."""
    return [name.removeprefix("--") for name in option.opts if name.startswith("--")]


def name_of(option: Any) -> str:
    """An option as it is named in messages: `--null`, and not `-0`."""
    return next((name for name in option.opts if name.startswith("--")), str(option.opts[0]))


def variables_of(path: CommandPath, option: Any) -> Iterator[str]:
    """The environment variables of an option: the one of the command first, then the shared one."""
    for length in range(len(path), -1, -1):
        for key in keys_of(option):
            words = "_".join((*path[:length], key))
            yield _PREFIX + words.replace("-", "_").upper()


def _from_text(text: str, option: Any, source: str) -> Any:
    """A variable's value as Click takes a default."""
    if option.is_flag:
        if text.lower() not in _YES + _NO:
            raise ConfigError(f"{source}: {name_of(option)} takes true or false, not {text!r}")
        return text.lower() in _YES
    return text.split(os.pathsep) if option.multiple else text


def _from_file(value: Any, option: Any, place: str, file: Path) -> Any:
    """A value of the file as Click takes a default; paths are those of the file's folder."""
    values = value if isinstance(value, list) else [value]
    wanted, is_sound = _kind(option)
    is_list = option.multiple or wanted in _LISTS
    if not all(is_sound(one) for one in values) or (isinstance(value, list) and not is_list):
        shown = "true or false" if wanted == "flag" else wanted
        raise ConfigError(f"{place}: {name_of(option)} takes {shown}, not {value!r}")
    if option.is_flag:
        return value
    if any("\0" in str(one) for one in values):
        raise ConfigError(f"{place}: {name_of(option)} takes no NUL: leave it out")
    texts = [_beside(str(one), option, file.parent) for one in values]
    if option.multiple:
        return texts
    return comma_list(texts) if isinstance(value, list) else texts[0]


_OF_METAVAR: dict[str, tuple[str, tuple[type, ...]]] = {
    "NAME,NAME,...": ("names", (str, int)),
    "N,N,...": ("names", (str, int)),
    "VALUES": ("values", (str, int, float)),
    "SIZE": ("an amount such as 2G", (str, int)),
}
"""What an option takes by what stands for its value in the help, and as what the file gives it."""

_LISTS = ("names", "values")


def _kind(option: Any) -> tuple[str, Any]:
    """What an option takes in words, and whether a value of the file is such."""
    number = (int, float)
    named = _type_name(option)
    if option.is_flag:
        return "flag", lambda value: isinstance(value, bool)
    if named in ("int", "integer"):
        return "a whole number", lambda value: type(value) is int
    if named == "float":
        return "a number", lambda value: isinstance(value, number) and type(value) is not bool
    if option.metavar in _OF_METAVAR:
        wanted, kinds = _OF_METAVAR[option.metavar]
        return wanted, lambda value: type(value) in kinds
    return "a text", lambda value: isinstance(value, str)


def _type_name(option: Any) -> str:
    """The type that a value is converted to, in either of the ways of Typer's versions."""
    descriptor = getattr(option, "type_descriptor", None)
    if descriptor is not None:
        kind = descriptor.annotation
        kind = get_args(kind)[0] if get_origin(kind) is list else kind
        return str(getattr(kind, "__name__", kind))
    return str(option.type.name)


def _beside(text: str, option: Any, folder: Path) -> str:
    """A path as the file means it: relative to the folder that the file is in."""
    if is_url(text):
        return text
    if text.startswith("hub:"):
        return "hub:" + _beside_if_there(text.removeprefix("hub:"), folder)
    if _type_name(option).lower() in ("path", "file", "directory"):
        return text if text.startswith("~") else os.path.normpath(folder.resolve() / text)
    return _beside_if_there(text, folder) if option.name in _PATHS_OR_WORDS else text


def _beside_if_there(text: str, folder: Path) -> str:
    path = folder / text
    return str(path) if text and not text.startswith("~") and path.exists() else text


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _names(command: Any) -> list[str]:
    return list(command.list_commands(None)) if hasattr(command, "list_commands") else []


def _sub_command(command: Any, name: str) -> Any:
    return command.get_command(None, name) if name in _names(command) else None


def _takes(command: Any, key: str) -> bool:
    """Whether it, or a command of it, has such an option; looks no further than it has to."""
    if any(key in keys_of(option) for option in options_of(command)):
        return True
    return any(_takes(_sub_command(command, name), key) for name in _names(command))


def _every_key(command: Any) -> set[str]:
    keys = {key for option in options_of(command) for key in keys_of(option)}
    return keys.union(*(_every_key(_sub_command(command, name)) for name in _names(command)))
