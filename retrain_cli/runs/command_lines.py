"""Settings as the words of a command line: what is as usual is not said.

Options come from the dataclasses themselves, so a new field of one stands in every command that is
written from it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from retrain_cli.flags import flag_of


def options_of(settings: Any, leave_out: Collection[str] = ()) -> Iterator[str]:
    """The options that set a dataclass to what it is: those of the fields with another value.

    Args:
        settings: the dataclass.
        leave_out: names of fields that are said otherwise, or that are no option.
    """
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name not in leave_out and value != _usual(field):
            yield from option(flag_of(field.name, type(settings)), value)


def _usual(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def option(flag: str, value: Any) -> Iterator[str]:
    """An option with its value; nothing for None.

    True is the bare flag, paths are given one by one, and names are one list with commas.
    """
    if value is None:
        return
    if isinstance(value, bool):
        yield flag if value else flag.replace("--", "--no-", 1)
    elif isinstance(value, tuple) and all(isinstance(one, Path) for one in value):
        for path in value:
            yield from _with_value(flag, str(path))
    elif isinstance(value, tuple):
        yield from _with_value(flag, comma_list(map(str, value)))
    else:
        yield from _with_value(flag, repr(value) if isinstance(value, float) else str(value))


def _with_value(flag: str, value: str) -> Iterator[str]:
    """In one word where the value alone could be taken for an option."""
    if value.startswith("-"):
        yield f"{flag}={value}"
    else:
        yield from (flag, value)


def arguments(*values: str) -> Iterator[str]:
    """The arguments of a command, which stand last, for one could be taken for an option."""
    if any(value.startswith("-") for value in values):
        yield "--"
    yield from values


def comma_list(names: Iterable[str]) -> str:
    r"""Names as `split_commas` reads them: `a,b`, and a comma in a name as `\,`."""
    return ",".join(map(_escaped, names))


_SPECIAL = re.compile(r"\\(?=[\\,\s]|$)|,|^\s+|\s+$")


def _escaped(name: str) -> str:
    return _SPECIAL.sub(lambda found: "".join(f"\\{char}" for char in found[0]), name)


_CHARACTER = re.compile(r"\\[\\,\s]|.", re.DOTALL)


def split_commas(text: str) -> tuple[str, ...]:
    r"""`a, b` as two names; spaces around them do not count, and `\,` is a comma in a name."""
    names: list[list[str]] = [[]]
    for character in _CHARACTER.findall(text):
        if character == ",":
            names.append([])
        elif names[-1] or not character.isspace():
            names[-1].append(character)
    return tuple("".join(char[-1] for char in _trimmed(name)) for name in names if name)


def _trimmed(characters: list[str]) -> list[str]:
    while characters[-1].isspace():
        characters = characters[:-1]
    return characters
