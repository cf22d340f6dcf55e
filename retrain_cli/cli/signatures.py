"""From a request to options: a command takes a dataclass, the terminal sees an option a field.

    @command
    def similar(ctx: typer.Context, request: Annotated[SimilarRequest, Fields(split="...")]): ...

has the options `--split`, `--batch-size` and so on, each with the type and the default that the
field of `SimilarRequest` has; `Literal` fields are choices. The function is called with the request
that they make. So no default is written twice, and a new field is a new option as soon as it has a
text. A parameter without a default that is no dataclass is "not given" until it is: False or None.
"""

from __future__ import annotations

import dataclasses
import inspect
import keyword
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from retrain_cli.checks import choices_of
from retrain_cli.cli.completion import COMPLETERS, run_names
from retrain_cli.cli.console import Form
from retrain_cli.cli.context import at_most_one, numbers
from retrain_cli.cli.options import FORM_HELP, SHARED, Described, Forms, OneRun
from retrain_cli.errors import ConfigError
from retrain_cli.flags import flag_of
from retrain_cli.paths import Paths


class Fields:
    """Marks a parameter whose dataclass is made of options.

    Args:
        without: fields that the command line does not set; they keep their defaults. A name, or
            `Dataclass.field` where another dataclass has a field of that name, too.
        texts: of each field a help text, or a `Described`; a field that is not named here has the
            shared one, see `options.SHARED`.
    """

    def __init__(self, *, without: tuple[str, ...] = (), **texts: str | Described) -> None:
        self._without = set(without)
        self._texts = texts

    def options(self, owner: type) -> Iterator[_Option]:
        """An option for each field, also of the dataclasses within."""
        for field, hint, nested in self._fields(owner):
            if nested:
                yield from self.options(hint)
            else:
                yield _Option(owner, field, hint, self._described(owner, field, hint))

    def make(self, owner: type, values: Mapping[str, Any]) -> Any:
        """The dataclass of the options' values, by the names of the options."""
        return owner(**self.values(owner, values))

    def values(self, owner: type, values: Mapping[str, Any]) -> dict[str, Any]:
        """What the fields of the dataclass are given."""
        given: dict[str, Any] = {}
        for field, hint, nested in self._fields(owner):
            if nested:
                given[field.name] = self.make(hint, values)
            else:
                name = option_name(owner, field.name)
                value = _said_once(name, values) if name + _AGAIN in values else values[name]
                given[field.name] = _as_field(value, field, hint)
        return given

    def _fields(self, owner: type) -> Iterator[tuple[dataclasses.Field[Any], Any, bool]]:
        """The fields that the command line sets: their types, and whether these are dataclasses."""
        hints = get_type_hints(owner)
        for field in dataclasses.fields(owner):
            if not self._without & {field.name, f"{owner.__name__}.{field.name}"}:
                hint = _typed(hints[field.name])
                yield field, hint, dataclasses.is_dataclass(hint) and isinstance(hint, type)

    def _described(self, owner: type, field: dataclasses.Field[Any], hint: Any) -> Described:
        name, qualified = field.name, f"{owner.__name__}.{field.name}"
        text = self._texts.get(name) or SHARED.get(qualified)
        text = text or field.metadata.get("meaning") or SHARED.get(name)
        if text is None:
            raise LookupError(
                f"{qualified} has no text: give it one in Fields(...), or leave it out"
            )
        if isinstance(text, Described):
            return text
        if hint == tuple[int, ...]:
            return Described(text, parser=partial(numbers, field=qualified), metavar="N,N,...")
        return Described(text)


@dataclass(frozen=True)
class SomeFields:
    """Options for fields of a dataclass that is made elsewhere, each with a text of its own.

    Attributes:
        owner: the dataclass.
        names: the fields.
    """

    owner: type
    names: Sequence[str]

    def _fields(self) -> Fields:
        every = {field.name for field in dataclasses.fields(self.owner)}
        return Fields(without=tuple(every - set(self.names)))

    def parameters(self) -> list[inspect.Parameter]:
        """For a signature."""
        return [one for option in self._fields().options(self.owner) for one in option.parameters()]

    def make(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of the options' values, by the names of the options."""
        return self._fields().values(self.owner, values)


@dataclass(frozen=True)
class _Option:
    """One field as one option."""

    owner: type
    field: dataclasses.Field[Any]
    hint: Any
    text: Described

    def parameters(self) -> Iterator[inspect.Parameter]:
        """Its parameter, and a second one where an argument can be said as an option, too."""
        yield self.parameter()
        if self.text.is_argument and self.text.and_option:
            yield _run_option(flag_of(self.field.name, self.owner), self.text.help)

    def parameter(self) -> inspect.Parameter:
        default = default_of(self.field)
        kind: Any = str | None if self.text.parser else _as_list(self.hint)
        if default == () and not self.text.parser:
            default = None
            kind = kind | None
        return _keyword(option_name(self.owner, self.field.name), kind, self._info(), default)

    def _info(self) -> Any:
        choices = choices_of(self.hint)
        extra: dict[str, Any] = {
            "help": f"{self.text.help}{one_of(choices)}",
            "metavar": "<choice>" if choices else self.text.metavar,
        }
        if self.text.parser:
            extra["parser"] = _tolerant(self.text.parser)
        completer = COMPLETERS.get(f"{self.owner.__name__}.{self.field.name}")
        completer = completer or COMPLETERS.get(self.field.name)
        if completer is not None:
            extra["autocompletion"] = completer
        if self.text.is_argument:
            return typer.Argument(**extra, show_default=self.text.show_default)
        flag = flag_of(self.field.name, self.owner)
        if self.hint is bool and default_of(self.field) is True:
            flag = f"{flag}/--no-{flag.removeprefix('--')}"
        names = [flag, self.text.short] if self.text.short else [flag]
        return typer.Option(*names, **extra, show_default=self.text.show_default)


def _typed(hint: Any) -> Any:
    """The type of what is typed: a notebook may give a path as a text, or one in place of some."""
    if hint == Paths:
        return tuple[Path, ...]
    parts = get_args(hint)
    if str in parts and os.PathLike[str] in parts:
        return Path | None if type(None) in parts else Path
    return hint


def one_of(choices: tuple[str, ...]) -> str:
    """The end of the help of an option with choices; Typer's own list breaks within words."""
    match choices:
        case ():
            return ""
        case (only,):
            return f" Takes {only}."
        case _:
            return f" One of {', '.join(choices)}."


def option_name(owner: type, field: str) -> str:
    """How the value of a field's option is called: `backbone` for `BackboneSpec.name`."""
    name = flag_of(field, owner).removeprefix("--").replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name  # `from_` of --from


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a field; the one of `inspect.Parameter` where it has none."""
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return inspect.Parameter.empty


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A function for Typer, whose dataclasses and forms are taken apart into options."""
    return _command(function, inspect.signature(function).parameters, _hints(function))


def chained(make: Callable[..., Any], use: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of both: what `make` returns is the first argument of `use`."""
    own = dict(inspect.signature(make).parameters)
    common = list(inspect.signature(use).parameters.values())[1:]

    def both(**values: Any) -> None:
        made = make(**{name: values[name] for name in own})
        use(made, **{one.name: values[one.name] for one in common})

    both.__name__, both.__doc__ = make.__name__, make.__doc__
    rest = {one.name: one for one in common if one.name not in own}
    return _command(both, {**own, **rest}, {**_hints(use), **_hints(make)})


def _command(
    function: Callable[..., None],
    parameters: Mapping[str, inspect.Parameter],
    hints: Mapping[str, Any],
) -> Callable[..., None]:
    typed: list[inspect.Parameter] = []
    for name, parameter in parameters.items():
        typed += _taken_apart(parameter, hints[name])

    def run(**values: Any) -> None:
        function(**{name: _put_together(name, hints[name], values) for name in parameters})

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(typed)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in typed}
    return run


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True)


def _mark_of(hint: Any) -> Fields | Forms | OneRun | None:
    marks = [one for one in get_args(hint)[1:] if isinstance(one, Fields | Forms | OneRun)]
    return marks[0] if get_origin(hint) is Annotated and marks else None


def _taken_apart(parameter: inspect.Parameter, hint: Any) -> list[inspect.Parameter]:
    mark = _mark_of(hint)
    if isinstance(mark, Fields):
        options = mark.options(get_args(hint)[0])
        return [one for option in options for one in option.parameters()]
    if isinstance(mark, OneRun):
        argument = typer.Argument(help=mark.help, autocompletion=run_names, show_default=False)
        again = _run_option("--run", mark.help)
        return [_keyword(parameter.name, str | None, argument, None), again]
    if isinstance(mark, Forms):
        return [
            _keyword(name, bool, typer.Option(f"--{name}", help=FORM_HELP[name]), False)
            for name in mark.names
        ]
    default = parameter.default
    if default is parameter.empty and get_origin(hint) is Annotated:
        default = _not_given(get_args(hint)[0])
    return [parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY, default=default)]


def _put_together(name: str, hint: Any, values: Mapping[str, Any]) -> Any:
    mark = _mark_of(hint)
    if isinstance(mark, Fields):
        return mark.make(get_args(hint)[0], values)
    if isinstance(mark, OneRun):
        return _said_once(name, values)
    return _form(mark, values) if isinstance(mark, Forms) else values[name]


_AGAIN = "_option"
"""What the option of an argument is called in Click: the argument's name with this."""


def _run_option(flag: str, text: str) -> inspect.Parameter:
    """The option that says the same as an argument."""
    name = flag.removeprefix("--").replace("-", "_") + _AGAIN
    info = typer.Option(flag, help=f"The same. {text}", autocompletion=run_names)
    return _keyword(name, str | None, info, None)


def _said_once(name: str, values: Mapping[str, Any]) -> Any:
    """An argument's value, or that of its option; ConfigError where they differ."""
    argument, option = values[name], values[name + _AGAIN]
    if argument is not None and option is not None and argument != option:
        raise ConfigError(f"name one {name}, not both {argument} and --{name} {option}")
    return option if argument is None else argument


def _form(forms: Forms, values: Mapping[str, Any]) -> Form:
    """The form that was asked for; ConfigError where it is two at once."""
    at_most_one({f"--{name}": values[name] for name in forms.names})
    return next((name for name in forms.names if values[name]), "text")


def _not_given(kind: Any) -> Any:
    """The value of an option of a command alone, while it is not given."""
    if kind is bool:
        return False
    return None if type(None) in get_args(kind) else inspect.Parameter.empty


def _keyword(name: str, kind: Any, info: Any, default: Any) -> inspect.Parameter:
    annotation = Annotated[kind, info]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


def _as_list(hint: Any) -> Any:
    """Typer's word for any number of values is `list`."""
    return list[get_args(hint)[0]] if get_origin(hint) is tuple else hint  # type: ignore[misc]


def _as_field(value: Any, field: dataclasses.Field[Any], hint: Any) -> Any:
    """The value as the dataclass wants it: a tuple for a list, its own default for nothing."""
    if get_origin(hint) is tuple:
        return default_of(field) if value is None else tuple(value)
    return value


def _tolerant(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Leave a default as it is: Typer hands that to the parser, too."""

    def parsed(value: Any) -> Any:
        return parse(value) if isinstance(value, str) else value

    return parsed
