"""What a search varies: for each setting a list of values, or a range to draw from.

`0.001,0.01` are two values, `0.0001..0.1` is everything between two numbers. Every setting of
`TrainingConfig` that shapes a head can be varied, also those that come to it later.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_type_hints

from retrain_cli.checks import check_choices, choices_of
from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.command_lines import split_commas

ONE_FOR_ALL: Final = (
    "testing_percentage",
    "validation_percentage",
    "examples_per_class",
    "classes",
    "seed",
    "eval_every",
    "patience",
)
"""Settings that all trials have in common: on what they are trained, and how often they look."""

EPOCHS: Final = "epochs"
"""Passes over the training photos; another way to say `steps`."""

BACKBONE: Final = "backbone"

TRAINED: Final = "trained_steps"
"""Of tables: the steps of the last round that settings came to, which may be fewer than theirs."""

_EVEN: Final = ("dropout",)
"""Settings whose ranges are drawn from evenly also where they begin above 0."""

_NOTHING: Final[dict[str, Any]] = {"hidden": (), "l2": None}
"""What `none` stands for."""

_DIGITS = 3  # of a number that is drawn: more tell nothing, and are hard to read


@dataclass(frozen=True)
class Choices:
    """Values of a setting, each to be tried."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Span:
    """All numbers from `low` to `high`, for a random search.

    Attributes:
        low: the least.
        high: the greatest.
        whole: whether only whole numbers are meant.
        even: whether equal differences are equally likely; else equal ratios are.
        in_tuple: whether a number stands for one of a tuple, such as the units of one layer.
    """

    low: float
    high: float
    whole: bool = False
    even: bool = False
    in_tuple: bool = False

    def at(self, place: float) -> Any:
        """The value at a place from 0 to 1, whole or of three digits."""
        if self.even:
            value = self.low + place * (self.high - self.low)
        else:
            value = self.low * (self.high / self.low) ** place
        rounded = round(value) if self.whole else float(f"{value:.{_DIGITS}g}")
        found = min(max(rounded, self.low), self.high)
        number = int(found) if self.whole else float(found)
        return (number,) if self.in_tuple else number


Axis = Choices | Span
Space = Mapping[str, Axis]
"""An axis for each setting that is varied, by its name in `TrainingConfig`."""


def searchable() -> tuple[str, ...]:
    """The settings that can be varied, in their order, and `epochs`."""
    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    found = [name for name in names if name not in ONE_FOR_ALL]
    found.insert(found.index("steps") + 1, EPOCHS)
    return tuple(found)


def read_axis(name: str, text: str) -> Axis:
    """The axis that `0.001,0.01`, `none,256,256+128` or `0.0001..0.1` says.

    Args:
        name: of the setting.
        text: values with commas between them, or a range; hidden layers of one head are joined by
            a plus.

    Raises:
        ConfigError: no value, one that the setting cannot have, or a range of what is no number.
    """
    parts = list(dict.fromkeys(split_commas(text)))
    if not parts:
        raise ConfigError(
            f"{setting(name)} takes values with commas between them, and there is none: name at "
            "least one, or leave it out"
        )
    if not any(".." in part for part in parts):
        return Choices(tuple(dict.fromkeys(_value(name, part) for part in parts)))
    if len(parts) > 1:
        raise ConfigError(
            f"{setting(name)} takes either a range or values with commas between them, not "
            f"{text!r}: leave one out"
        )
    return _span(name, parts[0])


def _span(name: str, text: str) -> Span:
    kind = _kind(name)
    if kind not in (int, float, tuple):
        raise ConfigError(
            f"{setting(name)} takes no range, for its values are no numbers: list them, as "
            f"{','.join(map(str, _choices(name)[:2])) or 'A,B'}"
        )
    low, high = (_number(name, one) for one in text.split("..", 1))
    if not low < high:
        raise ConfigError(
            f"a range of {setting(name)} goes up, and {text} does not: write the lower number first"
        )
    for end in (low, high):
        _check(name, (end,) if kind is tuple else end)
    even = name in _EVEN or low <= 0
    return Span(low, high, whole=kind is not float, even=even, in_tuple=kind is tuple)


def _value(name: str, text: str) -> Any:
    """One value of a setting."""
    if text == "none" and name in _NOTHING:
        return _NOTHING[name]
    kind = _kind(name)
    if kind is tuple:
        value: Any = tuple(_number(name, part) for part in text.replace("+", ",").split(","))
    else:
        value = _number(name, text) if kind in (int, float) else text
    return _check(name, value)


def _number(name: str, text: str) -> Any:
    kind = _kind(name)
    try:
        number = float(text) if kind is float else int(text)
        if not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError) as error:
        what = "numbers such as 0.001,0.01" if kind is float else "whole numbers such as 32,64"
        none = ", or none" if name in _NOTHING else ""
        raise ConfigError(
            f"{setting(name)} takes {what}{none}, or a range as LOW..HIGH, not {text!r}"
        ) from error
    return number


def _check(name: str, value: Any) -> Any:
    """The value, where the setting can have it at all, whatever the others are.

    Raises:
        ConfigError: it cannot.
    """
    if name == EPOCHS:
        if not 1 <= value <= _MOST_EPOCHS:
            raise ConfigError(f"{setting(EPOCHS)} must be from 1 to {_MOST_EPOCHS:,}, not {value}")
        return value
    beside = {"hidden": (1,)} if name == "activation" else {}
    config = TrainingConfig(**{**beside, name: value})
    check_choices(config)
    config.validate()
    return value


_MOST_EPOCHS = 100_000


def _kind(name: str) -> type:
    """int, float, tuple or str: what the values of a setting are."""
    if name == EPOCHS:
        return int
    hint = get_type_hints(TrainingConfig)[name]
    for kind in (int, float):
        if hint is kind or kind in get_args(hint):
            return tuple if hint == tuple[int, ...] else kind
    return str


def _choices(name: str) -> tuple[Any, ...]:
    """The values that a setting has to choose from; () of a number."""
    return () if name == EPOCHS else choices_of(get_type_hints(TrainingConfig)[name])


def shown(value: Any) -> str:
    """A value as it is typed: `256+128`, `none`, `0.001`."""
    if value in ((), None):
        return "none"
    if isinstance(value, tuple):
        return "+".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
