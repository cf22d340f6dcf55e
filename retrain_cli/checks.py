"""How a request is checked: each rule is written once, and its message names the field.

A request calls these with itself as soon as it is made, so that a notebook and the command line are
told of a wrong value in the same words, before any work.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from retrain_cli.errors import ConfigError, setting
from retrain_cli.paths import StrPath, as_path

MOST_VIEWS = 1_000


def choices_of(hint: Any) -> tuple[Any, ...]:
    """The values of a `Literal`, also of one that may be None; () of every other type."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for part in get_args(hint) for choice in choices_of(part))


def check_types(record: Any) -> None:
    """Hold every field of a dataclass that comes from a file to its type; numbers are finite.

    Raises:
        TypeError: the value of a field is of another kind.
    """
    for name, hint in _hints_of(type(record)).items():
        value = getattr(record, name)
        if not _is_of(value, hint):
            raise TypeError(f"{name} is {value!r:.60}")


_known_hints: dict[type, dict[str, Any]] = {}
"""A run of 100,000 classes has as many records of one kind."""


def _hints_of(kind: type) -> dict[str, Any]:
    if kind not in _known_hints:
        hints = get_type_hints(kind)
        _known_hints[kind] = {one.name: hints[one.name] for one in dataclasses.fields(kind)}
    return _known_hints[kind]


def _is_of(value: Any, hint: Any) -> bool:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is_of(value, part) for part in parts)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (hint is float or hint is type(value)) and is_finite(value)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_of(one, parts[0]) for one in value)
    if isinstance(value, Mapping):
        keys_and_values = zip(parts, ((*value,), (*value.values(),)), strict=False)
        return origin is Mapping and all(
            _is_of(one, kind) for kind, some in keys_and_values for one in some
        )
    return isinstance(hint, type) and isinstance(value, hint)


def is_finite(value: object) -> bool:
    """Whether this is a number that computing can be done with."""
    try:
        return isinstance(value, float | int) and math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False


def check_choices(request: Any) -> None:
    """Hold every field whose type is a `Literal` to its choices.

    Raises:
        ConfigError: the value of a field is not one of them.
    """
    hints = get_type_hints(type(request))
    for field in dataclasses.fields(request):
        choices = choices_of(hints[field.name])
        value = getattr(request, field.name)
        if choices and value not in choices and not (value is None and _may_be_none(hints, field)):
            raise ConfigError(not_one_of(setting(field.name, owner=type(request)), choices, value))


def not_one_of(subject: str, choices: tuple[Any, ...], value: object) -> str:
    """What is said of a value outside of its choices."""
    near = closest(str(value), map(str, choices), _SAME_AS)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    return f"{subject} takes one of {', '.join(map(str, choices))}, not {value!r}{hint}"


def by_peer(peers: Mapping[str, str]) -> dict[str, str]:
    """What each name stands for that other people and programs use.

    Args:
        peers: such names by the one that they stand for, with spaces between them.
    """
    return {peer: name for name, found in peers.items() for peer in found.split()}


_SAME_AS = by_peer(
    {
        "lbfgs": "bfgs logistic logreg logisticregression newton",
        "ridge": "leastsquares linear lstsq",
        "auto": "automatic best default",
        "sgd": "momentum nesterov",
        "rmsprop": "rms",
        "histogram": "hist bars",
        "roc": "auc auroc",
        "pr": "precisionrecall ap",
        "reliability": "calibration ece",
        "confusion": "confusionmatrix matrix cm",
        "float32": "fp32 f32 single full",
        "bfloat16": "bf16",
        "float16": "fp16 f16 half",
        "int8": "8bit quantized quantised",
        "keras": "tensorflow tf",
        "savedmodel": "pb serving",
        "litert": "tflite lite edge",
        "onnx": "ort",
        "openvino": "ov intel",
        "avg": "mean average gap",
        "max": "maximum gmp",
        "training": "train",
        "validation": "val valid dev",
        "test": "testing",
        "cv": "crossvalidation folds",
        "hard": "hardlink",
        "symbolic": "soft symlink",
        "squash": "stretch resize",
        "crop": "centercrop centrecrop",
        "letterbox": "pad",
    }
)


def closest(wanted: str, names: Iterable[str], same_as: Mapping[str, str]) -> list[str]:
    """The names that a mistyped one may stand for, at most three; may be none.

    Case, spaces and punctuation count for nothing.

    Args:
        wanted: what was typed.
        names: what there is.
        same_as: what else a name is called, in small letters and digits alone.
    """
    known = {_bare(name): name for name in names}
    meant = {peer: name for peer, name in same_as.items() if name in known.values()} | known
    key = _bare(wanted)
    if key in meant:
        return [meant[key]]
    begun = [name for bare, name in known.items() if len(key) > 2 and bare.startswith(key)]
    near = [meant[bare] for bare in difflib.get_close_matches(key, meant, n=6)]
    return list(dict.fromkeys([*begun, *near]))[:3]


def _bare(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _may_be_none(hints: dict[str, Any], field: dataclasses.Field[Any]) -> bool:
    return type(None) in get_args(hints[field.name])


def check_least(request: Any, least: int, *fields: str) -> None:
    """Hold numbers to be at least `least`; None passes, where it is the default.

    Raises:
        ConfigError: one of them is smaller.
    """
    for field in fields:
        value = getattr(request, field)
        if value is not None and value < least:
            raise ConfigError(
                f"{setting(field, owner=type(request))} must be at least {least}, not {value}"
            )


def check_views(request: Any) -> None:
    """Hold the number of views of a request to be one that can be worked with.

    Raises:
        ConfigError: below 0, or above 1,000.
    """
    check_least(request, 0, "views")
    if (request.views or 0) > MOST_VIEWS:
        raise ConfigError(
            f"{setting('views', owner=type(request))} must be at most {MOST_VIEWS:,}, not "
            f"{request.views}: so many views of a photo hardly differ"
        )


def check_positive(request: Any, *fields: str, with_0: bool = False) -> None:
    """Hold numbers to be above 0, or `with_0` to be 0 or above.

    Raises:
        ConfigError: one of them is not, or is no finite number.
    """
    for field in fields:
        value = getattr(request, field)
        if not (math.isfinite(value) and (value > 0 or (with_0 and value == 0))):
            bound = "0 or above" if with_0 else "above 0"
            raise ConfigError(
                f"{setting(field, owner=type(request))} must be a number {bound}, not {value}"
            )


def check_share(request: Any, field: str, *, with_0: bool = False, with_1: bool = False) -> None:
    """Hold a share to lie between 0 and 1; the ends count where the arguments say so.

    Raises:
        ConfigError: it does not.
    """
    value = getattr(request, field)
    if (0 < value < 1) or (with_0 and value == 0) or (with_1 and value == 1):
        return
    bounds = {
        (False, False): "between 0 and 1",
        (True, True): "from 0 to 1",
        (False, True): "above 0 and at most 1",
        (True, False): "at least 0 and below 1",
    }[with_0, with_1]
    raise ConfigError(f"{setting(field, owner=type(request))} must be {bounds}, not {value:g}")


def check_suffix(request: Any, field: str, *suffixes: str) -> None:
    """Hold the name of a file, where there is one, to end as its format does.

    Raises:
        ConfigError: it ends otherwise.
    """
    given: StrPath | None = getattr(request, field)
    path = None if given is None else as_path(given)
    if path is not None and path.suffix.lower() not in suffixes:
        name = setting(field, owner=type(request))
        raise ConfigError(f"{name} takes a file ending in {suffixes[0]}, not {path.name!r}")
