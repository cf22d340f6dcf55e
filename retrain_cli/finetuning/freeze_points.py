"""Where a network can be cut in two, and which cut goes with the layers that are to be trained.

A cut is an operation whose output alone leads on: each way from the input to the output goes
through it, so what lies above needs nothing else of what lies below. Blocks end at thin cuts, whose
output is small: linear bottlenecks, sums and concatenations.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from retrain_cli.backbones.layer_names import canonical_names, kind_of
from retrain_cli.errors import BackboneError, ConfigError, setting

_JOINS = ("Add", "Concatenate")
_NONLINEAR = ("ReLU", "Activation", "LeakyReLU", "PReLU", "ELU")
_PASSED_OVER = ("ZeroPadding2D", "Dropout")
_LAST = re.compile(r"last(?::(.*)|-block)", re.DOTALL)
WORDS = "last-block, last:N, from:LAYER, all, first-block, first+last or a pattern of layer names"


@dataclass(frozen=True, eq=False)
class LayerPlace:
    """One operation of a network, in the order in which they are computed.

    Attributes:
        name: its layer, as in a fresh process.
        operation: the Keras layer or operation.
        shape: of its output, without the batch.
        is_cut: whether the network can be cut behind it.
        ends_block: whether it is a thin cut, at which a block ends.
    """

    name: str
    operation: Any
    shape: tuple[int, ...]
    is_cut: bool
    ends_block: bool

    @property
    def has_weights(self) -> bool:
        """Whether there is anything in it to be trained."""
        return bool(getattr(self.operation, "weights", ()))


@dataclass(frozen=True, eq=False)
class FreezePoint:
    """What is trained, and where it begins.

    Attributes:
        cut: name of the layer whose output is cached; None where nothing below is frozen for good,
            so that photos are streamed.
        shape: (height, width, channels) of that output; () without one.
        trained: names of the layers to train, each of which has weights.
        layers: names of all layers with weights.
    """

    cut: str | None
    shape: tuple[int, ...]
    trained: frozenset[str]
    layers: tuple[str, ...]


def stages_of(network: Any) -> list[LayerPlace]:
    """The operations of a functional Keras model, input left out, in the order of computing."""
    by_depth = network._nodes_by_depth
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    place = {id(node.operation): at for at, node in enumerate(nodes)}
    readers: dict[int, list[int]] = defaultdict(list)
    for at, node in enumerate(nodes):
        for tensor in node.input_tensors:
            readers[place[id(tensor._keras_history.operation)]].append(at)
    operations = [node.operation for node in nodes]
    names = canonical_names([one.name for one in operations], {kind_of(one) for one in operations})
    stages, reaches = [], 0
    for at, (node, name) in enumerate(zip(nodes, names, strict=True)):
        is_cut = reaches <= at and len(node.outputs) == 1 and bool(readers[at])
        reaches = max(reaches, *readers[at], at)
        if at == 0:
            continue
        ends = is_cut and _is_thin(operations, readers, at)
        shape = tuple(node.outputs[0].shape[1:])
        stages.append(LayerPlace(name, node.operation, shape, is_cut, ends))
    return stages


def _is_thin(operations: list[Any], readers: dict[int, list[int]], at: int) -> bool:
    """Whether a block ends here."""
    kind, after = type(operations[at]).__name__, _kinds_after(operations, readers, at)
    if kind in _JOINS:
        return True
    if kind == "BatchNormalization":  # of a linear bottleneck: no activation follows
        return not after & {*_NONLINEAR}
    return kind in _NONLINEAR and after == {"DepthwiseConv2D"} and not _is_inverted(operations, at)


def _kinds_after(operations: list[Any], readers: dict[int, list[int]], at: int) -> set[str]:
    found: set[str] = set()
    for reader in readers[at]:
        kind = type(operations[reader]).__name__
        found |= _kinds_after(operations, readers, reader) if kind in _PASSED_OVER else {kind}
    return found


def _is_inverted(operations: list[Any], at: int) -> bool:
    """Whether the activation is inside an inverted residual block, which widens before it thins."""
    return "expand" in operations[at].name


def choose_freeze_point(network: Any, trainable: str) -> FreezePoint:
    """What `trainable` means for a network.

    Args:
        network: a functional Keras model.
        trainable: as `TuningConfig.trainable`.

    Raises:
        BackboneError: the network has no layers of its own, or the layer is inside a branch.
        ConfigError: it names nothing.
    """
    if not hasattr(network, "_nodes_by_depth"):
        raise BackboneError(
            "fine-tuning needs a network whose layers are known, and this is one piece: choose a "
            "backbone that `retrain doctor --backbones` lists"
        )
    stages = stages_of(network)
    wanted = _trained(stages, trainable.strip())
    layers = tuple(stage.name for stage in stages if stage.has_weights)
    trained = frozenset(name for name in layers if name in wanted)
    if not trained:
        raise ConfigError(
            f"{setting('trainable', trainable)} must mean layers with weights, and there are none "
            "in it: choose an earlier layer"
        )
    cut = _cut_below(stages, trained)
    if cut is None:
        return FreezePoint(None, (), trained, layers)
    return FreezePoint(cut.name, cut.shape, trained, layers)


def _trained(stages: list[LayerPlace], trainable: str) -> set[str]:
    """Names of the layers that are meant, also of those without weights."""
    if trainable == "all":
        return {stage.name for stage in stages}
    if trainable.startswith("from:"):
        return _after(stages, _named(stages, trainable.removeprefix("from:")))
    blocks = blocks_of(stages)
    if trainable == "first-block":
        return blocks[0]
    if trainable == "first+last":
        return blocks[0] | blocks[-1]
    if match := _LAST.fullmatch(trainable):
        return set().union(*blocks[-_count(match[1], len(blocks)) :])
    found = {stage.name for stage in stages if fnmatchcase(stage.name, trainable)}
    if not found:
        raise ConfigError(
            f"{setting('trainable')} takes {WORDS}, not {trainable!r}, which no layer is called "
            f"like: its blocks end with {', '.join(_ends(stages)[-3:])}"
        )
    return found


def _count(text: str | None, most: int) -> int:
    """The N of last:N."""
    count = 1 if text is None else int(text) if text.isdecimal() and len(text) < 4 else 0
    if not 1 <= count <= most:
        raise ConfigError(
            f"{setting('trainable', 'last:N')} takes a number of blocks from 1 to {most}, which "
            f"this network has, not {text!r}"
        )
    return count


def blocks_of(stages: list[LayerPlace]) -> list[set[str]]:
    """The names of the layers of each block.

    A single layer with a kernel behind the last thin cut, as MobileNetV2 has, is of the last block.
    """
    blocks: list[list[LayerPlace]] = [[]]
    for stage in stages:
        blocks[-1].append(stage)
        if stage.ends_block:
            blocks.append([])
    kernels = sum(getattr(one.operation, "kernel", None) is not None for one in blocks[-1])
    if len(blocks) > 1 and kernels <= 1:
        top = blocks.pop()
        blocks[-1] += top
    return [{stage.name for stage in block} for block in blocks]


def _ends(stages: list[LayerPlace]) -> list[str]:
    return [stage.name for stage in stages if stage.ends_block]


def _named(stages: list[LayerPlace], name: str) -> int:
    """The place of a layer behind which the network can be cut."""
    places = {stage.name: at for at, stage in enumerate(stages)}
    if name not in places:
        raise ConfigError(
            f"{setting('trainable', 'from:LAYER')} takes the name of a layer, not {name!r}: blocks "
            f"of this network end with {', '.join(_ends(stages)[-4:])}"
        )
    at = places[name]
    if stages[at].is_cut:
        return at
    if at == len(stages) - 1:
        raise ConfigError(
            f"{setting('trainable', 'from:LAYER')} trains what follows the layer, and nothing "
            f"follows {name}: choose an earlier one, such as {_ends(stages)[-1]}"
        )
    below = [stage.name for stage in stages[:at] if stage.is_cut][-1:]
    above = [stage.name for stage in stages[at:] if stage.is_cut][:1]
    raise BackboneError(
        f"a network is cut where one layer alone leads on, and beside {name} runs another branch: "
        f"take {setting('trainable')} from:{' or from:'.join(below + above) or 'an earlier layer'}"
    )


def _after(stages: list[LayerPlace], at: int) -> set[str]:
    return {stage.name for stage in stages[at + 1 :]}


def _cut_below(stages: list[LayerPlace], trained: frozenset[str]) -> LayerPlace | None:
    """The cut below all that is trained whose output is smallest, of equals the highest.

    Frozen layers between it and the first trained one are computed in each step, so only cuts of
    the same block are looked at: those behind the last layer with weights that is frozen for good.
    """
    first = next(at for at, stage in enumerate(stages) if stage.name in trained)
    below = [stage for stage in stages[:first] if stage.is_cut]
    if not any(stage.has_weights for stage in stages[:first]) or not below:
        return None
    thin = [stage for stage in below if stage.ends_block]
    nearest = below[-1]
    if thin and _numbers(thin[-1]) < _numbers(nearest):
        return thin[-1]
    return nearest


def _numbers(stage: LayerPlace) -> int:
    size = 1
    for extent in stage.shape:
        size *= extent
    return size
