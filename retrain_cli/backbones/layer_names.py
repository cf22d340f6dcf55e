"""Layer names that mean the same layer in every session.

Keras numbers layers without a name of their own by a counter of the process: the first convolution
of an Inception v3 is `conv2d` in a fresh process and `conv2d_94` if another one was built before.
Here each kind of layer is counted from its first one in the network, as in a fresh process.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from typing import Any

from retrain_cli.errors import BackboneError, setting

_NUMBERED = re.compile(r"(.+?)(?:_(\d+))?")


def kind_of(layer: Any) -> str:
    """Keras's name for a layer's class, the stem of its automatic names: "conv2d"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def canonical_names(names: Sequence[str], kinds: Collection[str]) -> list[str]:
    """The same names, with automatic ones counted from zero.

    Args:
        names: layer names of one network, in any order.
        kinds: what automatic names begin with; other names keep their number.
    """
    parsed = [_split_number(name.replace("/", "_"), kinds) for name in names]
    first: dict[str, int] = {}
    for stem, number in parsed:
        if number is not None:
            first[stem] = min(number, first.get(stem, number))
    return [
        stem if number is None else _join(stem, number - first[stem]) for stem, number in parsed
    ]


def _split_number(name: str, kinds: Collection[str]) -> tuple[str, int | None]:
    match = _NUMBERED.fullmatch(name)
    if match is None or match[1] not in kinds:
        return name, None
    return match[1], int(match[2] or 0)


def _join(stem: str, number: int) -> str:
    return f"{stem}_{number}" if number else stem


def find_layer(base: Any, name: str) -> Any:
    """The layer of a Keras model that `--layer` means.

    Raises:
        BackboneError: there is none; the message names the nearest, else the last few.
    """
    layers = [layer for layer in base.layers if kind_of(layer) != "input_layer"]
    names = canonical_names([layer.name for layer in layers], {kind_of(layer) for layer in layers})
    if name in names:
        return layers[names.index(name)]
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"it ends with {', '.join(names[-4:])}"
    raise BackboneError(
        f"{setting('layer')} takes the name of one of the backbone's {len(names)} layers, not "
        f"{name!r}: {hint} (numbers as in `model.summary()` of a fresh process)"
    )
