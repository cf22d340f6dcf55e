"""Where a network's blocks can be looked into: about a dozen layers, found by its structure.

A block ends where branches meet in one tensor that everything after it depends on (an addition, a
concatenation), or where the resolution falls on that one way. Of each block the layer is taken that
gives most numbers, of equals the first: after an activation or where branches meet, for a linear
layer holds nothing that those before it do not. Of MobileNets and EfficientNets that is the
expansion, six times as wide as the thin ends of the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from retrain_cli.backbones.layer_names import canonical_names, find_layer, kind_of
from retrain_cli.backbones.runtimes.keras_model import build_without_weights
from retrain_cli.backbones.spec import AUTO_LAYER, BackboneSpec
from retrain_cli.backbones.weights import load_weights_file
from retrain_cli.engine import load_keras
from retrain_cli.errors import BackboneError, WeightsError, setting

MOST_BLOCKS = 14
_FEWEST_BLOCKS = 8
"""Fewer are found in networks without branches: then each of their layers counts as a block."""
_FINEST = 3
"""A map finer than the input's side by that is left out: costly, and it has seen a few pixels."""
_JOINS = ("add", "concatenate", "custom_scale_layer")


def block_layers(spec: BackboneSpec) -> tuple[str, ...]:
    """Names of one layer of each block, from the input on; the last is the network's last layer.

    Args:
        spec: a resolved spec; its layer does not count, unless its weights end there.

    Raises:
        BackboneError: it is no backbone of the table.
    """
    if spec.kind != "table":
        raise BackboneError(
            f"{setting('layer')} looks into backbones of the table (`retrain doctor --backbones`), "
            f"and {spec.name} is none, so it has no layers to choose from: choose another backbone"
        )
    network = build_without_weights(spec)
    if spec.layer not in (None, AUTO_LAYER) and not _fits(spec, network):
        end = find_layer(network, spec.layers[-1]).output
        network = load_keras().Model(network.inputs, end)
    return blocks_of(network)


def _fits(spec: BackboneSpec, network: Any) -> bool:
    """Whether the weights are those of the whole network, not of a part of it."""
    if spec.weights_file is None:
        return True
    try:
        load_weights_file(spec.weights_file, [network], spec.name)
    except WeightsError:
        return False
    return True


def blocks_of(network: Any) -> tuple[str, ...]:
    """The same of a Keras model."""
    layers = [layer for layer in network.layers if kind_of(layer) != "input_layer"]
    names = canonical_names([layer.name for layer in layers], {kind_of(layer) for layer in layers})
    name_of = dict(zip(map(id, layers), names, strict=True))
    side = int(network.input_shape[1])
    found = [_widest(block, side) for block in _blocks(layers)]
    known = [layer for layer in found if layer is not None]
    if len(known) < _FEWEST_BLOCKS:
        known = [layer for layer in layers if _tells(layer, side)]
    last = layers[-1]
    before = [layer for layer in known if layer is not last and not _is_same(layer, last)]
    places = np.linspace(0, len(before) - 1, min(len(before), MOST_BLOCKS - 1)).round()
    return tuple(name_of[id(layer)] for layer in [*(before[int(p)] for p in places), last])


def _blocks(layers: Sequence[Any]) -> Iterator[list[Any]]:
    """The layers in their order, cut where blocks end."""
    block: list[Any] = []
    side: int | None = None
    trunk = _trunk(layers)
    for layer in layers:
        shape = layer.output.shape
        falls = id(layer) in trunk and len(shape) == 4 and side not in (None, shape[1])
        if falls and block:
            yield block
            block = []
        if id(layer) in trunk and len(shape) == 4:
            side = shape[1]
        block.append(layer)
        if kind_of(layer) in _JOINS and id(layer) in trunk:
            yield block
            block = []
    if block:
        yield block


def _trunk(layers: Sequence[Any]) -> set[int]:
    """Identities of the layers that every way through the network passes."""
    last_use: dict[int, int] = {}
    for place, layer in enumerate(layers):
        for tensor in _inputs(layer):
            last_use[id(tensor)] = place
    found, open_until = set(), -1
    for place, layer in enumerate(layers):
        # Nothing made before this layer is used after it.
        if open_until <= place:
            found.add(id(layer))
        open_until = max(open_until, last_use.get(id(layer.output), place))
    return found


def _inputs(layer: Any) -> Iterable[Any]:
    given = layer.input
    return given if isinstance(given, (list, tuple)) else [given]


def _widest(block: Sequence[Any], side: int) -> Any | None:
    telling = [layer for layer in block if _tells(layer, side)]
    return max(telling, key=lambda layer: int(layer.output.shape[-1]), default=None)


def _tells(layer: Any, side: int) -> bool:
    """Whether it gives a map, not too fine, of something that is no linear copy."""
    shape = layer.output.shape
    if len(shape) != 4 or not 1 < shape[1] <= side / _FINEST:
        return False
    activation = getattr(layer, "activation", None)
    bent = activation is not None and getattr(activation, "__name__", "") != "linear"
    return bent or kind_of(layer) in ("re_lu", "leaky_re_lu", "concatenate")


def _is_same(layer: Any, last: Any) -> bool:
    """Whether the last layer only pools or normalises what this one gives."""
    return any(tensor is layer.output for tensor in _inputs(last)) and len(last.output.shape) == 2
