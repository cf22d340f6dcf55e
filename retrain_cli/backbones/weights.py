"""Bringing weights into a backbone: never in part, never in another order, never in silence.

Keras matches the layers of a file to those of a model by their order alone. Here every array must
also have the right shape, and where layers carry names they must not contradict that order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.layer_names import canonical_names, kind_of
from retrain_cli.backbones.weight_files import Layout, StoredLayer, StoredWeights, open_weights
from retrain_cli.errors import WeightsError, setting

MAX_HEAD_ARRAYS = 16
"""A file may hold a classifier besides the backbone: at most this many arrays. With `--layer` it
may hold any number of layers above, if the names of all layers below agree."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A layer of the model that wants weights: its place, its name, its variables."""

    key: str
    name: str
    kind: str
    variables: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Match:
    """How far a file fits a model: the pairs found, and what is wrong, "" if nothing is."""

    pairs: tuple[tuple[_Slot, StoredLayer], ...]
    problem: str = ""


def load_weights_file(
    path: Path, models: Sequence[Any], backbone: str, published_digest: str | None = None
) -> None:
    """Set the weights of a Keras model from a file, with or without a classifier on top.

    Args:
        path: `.weights.h5`, `.keras` (also with the backbone nested in it), legacy `.h5`,
            `.safetensors`, or the `.pth` of a known package.
        models: the whole backbone, then, with `--layer`, the part of it up to there (sharing its
            layers); the first that the file fits is filled.
        backbone: its name, for messages.
        published_digest: MD5 or SHA-256 of the file that Keras publishes; the layer names of that
            very file are not compared.

    Raises:
        WeightsError: the file cannot be read, or fits none of the models; the message gives the
            first difference. The models' weights are unchanged then.
    """
    check_names = not _has_digest(path, published_digest)
    with open_weights(path) as stored:
        matches = [
            match
            for model in models
            for match in _match_model(model, stored, check_names, part=model is not models[0])
        ]
        fitting = next((match for match in matches if not match.problem), None)
        if fitting is None:
            nearest = max(matches, key=lambda match: len(match.pairs))
            wanted = sum(len(slot.variables) for slot in _slots(models[0], stored.layout))
            raise WeightsError(
                f"{setting('weights')} must fit {backbone}, and {path} does not: "
                f"{nearest.problem}; it holds {stored.array_count} arrays, the backbone {wanted}: "
                f"give the file of this architecture, or the {setting('BackboneSpec.name')}, "
                f"{setting('alpha')} and {setting('layer')} that it was saved from"
            )
        _assign(fitting)


def named_weights(model: Any) -> dict[str, NDArray[np.float32]]:
    """All weights of a Keras model by layer and variable, such as "conv2d_5/kernel".

    Layers are called as in a fresh process; `load_weights_file` reads a `.safetensors` of them.
    """
    return {
        f"{slot.name}/{variable.name}": np.asarray(variable.numpy(), np.float32)
        for slot in _slots(model, "named")
        for variable in slot.variables
    }


def _has_digest(path: Path, digest: str | None) -> bool:
    if digest is None:
        return False
    algorithm = "sha256" if len(digest) == 64 else "md5"  # by the length of the hex text, as Keras
    found = hashlib.new(algorithm, path.read_bytes(), usedforsecurity=False)
    return found.hexdigest() == digest


def _match_model(
    model: Any, stored: StoredWeights, check_names: bool, part: bool
) -> Iterator[_Match]:
    """Every way to lay the file over the model; `part` if the model is not the whole backbone."""
    slots = _slots(model, stored.layout)
    if stored.layout == "named":
        yield _match_names(slots, stored, part)
        return
    if stored.layout == "ordered":
        pairs = list(zip(slots, stored.layers, strict=False))
        yield _judge(slots, pairs, stored.layers[len(pairs) :], check_names, part)
        return
    for prefix in _prefixes(slots, stored):
        inside = {
            layer.key.removeprefix(prefix): layer
            for layer in stored.layers
            if layer.key.startswith(prefix)
        }
        pairs = [(slot, inside.pop(slot.key)) for slot in slots if slot.key in inside]
        yield _judge(slots, pairs, list(inside.values()), check_names, part)


def _match_names(slots: Sequence[_Slot], stored: StoredWeights, part: bool) -> _Match:
    """Lay arrays that are stored by name over the model; numbers of automatic names start anew."""
    names = canonical_names([layer.name for layer in stored.layers], {slot.kind for slot in slots})
    inside = {
        name: replace(layer, key=name, name=name)
        for name, layer in zip(names, stored.layers, strict=True)
    }
    pairs = [
        (slot, _in_order_of(slot, inside.pop(slot.key))) for slot in slots if slot.key in inside
    ]
    return _judge(slots, pairs, list(inside.values()), check_names=False, part=part)


def _in_order_of(slot: _Slot, layer: StoredLayer) -> StoredLayer:
    """The layer's arrays in the order of the model's variables, where it has those."""
    arrays = dict(zip(layer.variables, layer.arrays, strict=True))
    wanted = [variable.name for variable in slot.variables]
    if set(wanted) != set(arrays):
        return layer
    return replace(layer, arrays=tuple(arrays[name] for name in wanted), variables=tuple(wanted))


def _prefixes(slots: Sequence[_Slot], stored: StoredWeights) -> list[str]:
    """Where the backbone may lie in the file: at its top, or nested in the user's own model."""
    first = slots[0].key
    found = {
        k.removesuffix(first) for k in (layer.key for layer in stored.layers) if k.endswith(first)
    }
    return sorted({"", *(prefix for prefix in found if prefix.endswith("/"))}, key=len)


def _slots(model: Any, layout: Layout) -> list[_Slot]:
    slots = list(_legacy_slots(model) if layout == "ordered" else _keyed_slots(model, ""))
    names = canonical_names([slot.name for slot in slots], {slot.kind for slot in slots})
    return [
        replace(slot, name=name, key=name if layout == "named" else slot.key)
        for slot, name in zip(slots, names, strict=True)
    ]


def _legacy_slots(model: Any) -> Iterator[_Slot]:
    """Layers in the model's order, a nested model counting as one layer, as in Keras 2."""
    for layer in model.layers:
        variables = (*layer.trainable_weights, *layer.non_trainable_weights)
        if variables:
            yield _Slot(layer.name, layer.name, kind_of(layer), variables)


def _keyed_slots(model: Any, prefix: str) -> Iterator[_Slot]:
    """Layers with the key that Keras 3 saves them under: "layers/", class, number in the class."""
    counts: dict[str, int] = {}
    for layer in model.layers:
        kind = kind_of(layer)
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        key = f"{prefix}layers/{kind}_{number}" if number else f"{prefix}layers/{kind}"
        if hasattr(layer, "layers"):
            yield from _keyed_slots(layer, key + "/")
        elif layer.weights:
            yield _Slot(key, layer.name, kind, tuple(layer.weights))


def _judge(
    slots: Sequence[_Slot],
    pairs: Sequence[tuple[_Slot, StoredLayer]],
    extras: Sequence[StoredLayer],
    check_names: bool,
    part: bool,
) -> _Match:
    """Cut the pairs at the first difference and put it into words."""
    for index, (slot, layer) in enumerate(pairs):
        problem = _compare(slot, layer)
        if problem:
            return _Match(tuple(pairs[:index]), problem)
    found = {slot.key for slot, _ in pairs}
    missing = [slot for slot in slots if slot.key not in found]
    problem = ""
    if missing:
        problem = f"it has nothing for layer {missing[0].name} ({missing[0].key})"
    elif not (part and _names_agree(pairs)) and _count(extras) > MAX_HEAD_ARRAYS:
        problem = f"{extras[0].key} and more in it have no place in the backbone"
    elif check_names:
        problem = _find_swap(pairs)
    return _Match(tuple(pairs), problem)


def _compare(slot: _Slot, layer: StoredLayer) -> str:
    wanted = [tuple(variable.shape) for variable in slot.variables]
    shapes = [tuple(array.shape) for array in layer.arrays]
    if shapes == wanted:
        return ""
    if len(shapes) != len(wanted):
        return f"its {layer.key} has {len(shapes)} arrays, layer {slot.name} wants {len(wanted)}"
    shape, want = next((s, w) for s, w in zip(shapes, wanted, strict=True) if s != w)
    return f"its {layer.key} is {shape}, layer {slot.name} wants {want}"


def _find_swap(pairs: Sequence[tuple[_Slot, StoredLayer]]) -> str:
    """A layer whose name in the file is that of another layer of the model; "" if there is none.

    Names that the model does not have at all say nothing: they change between versions of Keras.
    """
    known = {slot.name for slot, _ in pairs}
    for name, (slot, _) in zip(_stored_names(pairs), pairs, strict=True):
        if name != slot.name and name in known:
            return f"its layers are in another order, with {name} in the place of {slot.name}"
    return ""


def _names_agree(pairs: Sequence[tuple[_Slot, StoredLayer]]) -> bool:
    return _stored_names(pairs) == [slot.name for slot, _ in pairs]


def _stored_names(pairs: Sequence[tuple[_Slot, StoredLayer]]) -> list[str]:
    kinds = {slot.kind for slot, _ in pairs}
    return canonical_names([layer.name for _, layer in pairs], kinds)


def _count(layers: Sequence[StoredLayer]) -> int:
    return sum(len(layer.arrays) for layer in layers)


def _assign(match: _Match) -> None:
    # Everything is read before anything is set, so that a damaged file changes nothing.
    values = [[np.asarray(array) for array in layer.arrays] for _, layer in match.pairs]
    for (slot, _), arrays in zip(match.pairs, values, strict=True):
        for variable, value in zip(slot.variables, arrays, strict=True):
            variable.assign(value)


def set_random_weights(model: Any, seed: int) -> None:
    """Draw all kernels anew: He's uniform distribution (He et al. 2015) over their fan-in.

    NumPy draws them, so that every Keras engine gets the same; biases and the statistics of
    normalisation layers keep their initial values.
    """
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            limit = np.sqrt(6.0 / _fan_in(shape))
            variable.assign(generator.uniform(-limit, limit, shape).astype(np.float32))


def _fan_in(shape: tuple[int, ...]) -> int:
    """Inputs per output unit; a depthwise kernel (h, w, channels, 1) sees one channel only."""
    is_depthwise = len(shape) == 4 and shape[3] == 1
    return int(np.prod(shape[:2] if is_depthwise else shape[:-1]))
