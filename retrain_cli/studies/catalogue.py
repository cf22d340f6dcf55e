"""The studies there are: whatever stands in a file of `studies/protocols`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, NamedTuple, get_type_hints

from retrain_cli.flags import flag_of
from retrain_cli.studies import protocols
from retrain_cli.studies.study import Study


class StudyOption(NamedTuple):
    """A field of a study that can be chosen.

    Attributes:
        name: the field.
        kind: its type, such as `int | None`.
        default: its value where nothing is chosen.
        meaning: what it does, in a sentence.
        flag: its option on the command line.
    """

    name: str
    kind: Any
    default: Any
    meaning: str
    flag: str


def find_studies() -> dict[str, type[Study]]:
    """Every study by its name; those that repeat a figure of the paper first, in its order."""
    found: list[type[Study]] = []
    for module in iter_modules(protocols.__path__, f"{protocols.__name__}."):
        found += _studies_of(vars(import_module(module.name)), module.name)
    return {one.name: one for one in sorted(found, key=lambda one: (one.figure, one.name))}


def _studies_of(names: dict[str, Any], module: str) -> Iterator[type[Study]]:
    for value in names.values():
        # In this order: Python 3.10 takes `tuple[str, ...]` for a class, and then not for one.
        is_own = isinstance(value, type) and value.__module__ == module
        if is_own and issubclass(value, Study):
            yield value


def options_of(study: type[Study]) -> list[StudyOption]:
    """What a study lets its user choose, in the order of its fields."""
    kinds = get_type_hints(study)
    return [
        StudyOption(
            one.name,
            kinds[one.name],
            one.default,
            one.metadata["meaning"],
            flag_of(one.name, study),
        )
        for one in fields(study)  # type: ignore[arg-type]  # every study is a dataclass
        if "meaning" in one.metadata
    ]


def help_of(study: type[Study]) -> str:
    """What a study is about: its docstring up to the list of its attributes."""
    return (inspect.getdoc(study) or "").partition("\nAttributes:")[0].rstrip()
