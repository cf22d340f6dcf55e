"""A backbone with some of its layers trained, from pre-trained, tuned or random weights.

What lies below the layers that are trained sees each photo once a start, and its output is held in
memory, as the photos' pixels are; where memory does not hold them, they are made anew in each
epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.backbones.runtimes.keras_model import build_network, scale_pixels
from retrain_cli.backbones.spec import RANDOM, BackboneSpec
from retrain_cli.backbones.table import find_backbone
from retrain_cli.backbones.weights import set_random_weights
from retrain_cli.engine import load_keras, quiet_engine
from retrain_cli.finetuning.batch_drawing import BatchDraw
from retrain_cli.finetuning.batch_sources import BatchSource, DecodedPhotos, read_ahead
from retrain_cli.finetuning.freeze_points import FreezePoint, choose_freeze_point, stages_of
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.tuned_network import Arrays, Schedule, TunedNetwork
from retrain_cli.finetuning.tuning import vectors_of
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.memory import available_memory
from retrain_cli.images.distortions import Distortion
from retrain_cli.studies.freezing.early_stop import FreezeRules, Rows

_AT_ONCE = 64
_SHARE_OF_PIXELS, _SHARE_OF_ACTIVATIONS = 3, 4
"""The part of free memory, one in so many, that each may take."""

Weights = list[NDArray[Any]]


@dataclass(frozen=True)
class FreezeStart:
    """Weights that networks start from.

    Attributes:
        key: tells it from all others, also in another process.
        title: for people.
        spec: the backbone with these weights.
        is_random: whether each repeat draws weights of its own.
    """

    key: str
    title: str
    spec: BackboneSpec
    is_random: bool = False


class HeldArrays:
    """The numbers of all photos, in memory; see `BatchSource`."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array

    def read(self, rows: Rows) -> Arrays:
        """See `BatchSource`."""
        return [self._array[rows]]


@dataclass(frozen=True, eq=False)
class _Compiled:
    """A network with what is trained of it, ready; its optimiser as it begins."""

    asked: tuple[Any, ...]
    point: FreezePoint
    config: TuningConfig
    network: TunedNetwork
    optimizer: Arrays


class FrozenNetworks:
    """Makes learners, one at a time: all of them are one network whose weights begin anew.

    Args:
        spec: the backbone, settled.
        paths: of each photo of the dataset.
        rules: how it is trained.
    """

    def __init__(self, spec: BackboneSpec, paths: Sequence[PurePath], rules: FreezeRules) -> None:
        self._spec, self._paths, self._rules = spec, paths, rules
        self._parts: Parts | None = None
        self._weights: dict[str, Weights] = {}
        self._pixels: BatchSource | None = None
        self._compiled: _Compiled | None = None
        self._below: tuple[tuple[Any, ...], BatchSource] | None = None

    def check(self, trainable: str) -> None:
        """Raise what `choose_freeze_point` raises of a choice of layers."""
        choose_freeze_point(self._network, trainable)

    @property
    def _network(self) -> Any:
        if self._parts is None:
            self._parts = Parts.build(self._spec, self._rules.tuning("all", 0))
        return self._parts.network

    def learner(
        self,
        trainable: str,
        start: FreezeStart,
        data: HeadData,
        seed: int,
        heed: Callable[[], None],
    ) -> NetworkLearner:
        """A network that has learned nothing of these photos yet.

        Args:
            trainable: which layers are trained.
            start: the weights of all of them.
            data: which photos train, and all labels.
            seed: of random weights and of the order of photos.
            heed: is called between steps; what it raises ends the training.

        Raises:
            RetrainError: a photo that cannot be read any more, or layers that do not exist.
        """
        with quiet_engine():
            self._begin(start, data, seed, heed)
            compiled = self._compile(trainable, data, seed)
            key = (start.key, trainable, seed if start.is_random else None)
            source = self._source(compiled, key, heed)
        network = compiled.network
        network.set_head(Head.initial(data.class_names, network.width, seed))
        network.set_optimizer_state(compiled.optimizer)
        return NetworkLearner(network, source, data, replace(compiled.config, seed=seed), heed)

    def _begin(
        self, start: FreezeStart, data: HeadData, seed: int, heed: Callable[[], None]
    ) -> None:
        """Give the network the weights of a start."""
        network = self._network
        if start.key not in self._weights:
            weights = RANDOM if start.is_random else start.spec.weights
            plain = replace(
                start.spec, weights=weights, precision="float32", runtime="keras", model=None
            )
            found = build_network(plain).get_weights()
            self._weights[start.key] = [np.array(one) for one in found]
        network.set_weights(self._weights[start.key])
        if start.is_random:
            heed()
            set_random_weights(network, seed)
            chosen = np.random.default_rng(seed).permutation(data.training)[:_AT_ONCE]
            pixels = self._all_pixels(heed).read(np.sort(chosen))[0]
            settle_norms(network, scaled(pixels, self._spec))

    def _compile(self, trainable: str, data: HeadData, seed: int) -> _Compiled:
        batch = min(self._rules.batch_size, len(data.training))
        asked = (trainable, batch, data.class_names)
        if self._compiled is None or self._compiled.asked != asked:
            self._compiled = None
            point = choose_freeze_point(self._network, trainable)
            config = self._rules.tuning(trainable, seed, stream=not self._holds(point))
            head = Head.initial(data.class_names, self._width, seed)
            made = TunedNetwork(self._network, self._spec, point, head, config)
            made.compile(Schedule.of(config, self._rules.learning_rate, 1))
            self._compiled = _Compiled(asked, point, config, made, made.optimizer_state())
        return self._compiled

    @property
    def _width(self) -> int:
        shape = self._network.output.shape[1:]
        return int(np.prod(shape)) if self._spec.pooling == "none" else int(shape[-1])

    def _holds(self, point: FreezePoint) -> bool:
        """Whether memory holds the activations of all photos."""
        size = 2 * len(self._paths) * int(np.prod(point.shape))
        return size <= available_memory() // _SHARE_OF_ACTIVATIONS

    def _source(
        self, compiled: _Compiled, key: tuple[Any, ...], heed: Callable[[], None]
    ) -> BatchSource:
        """What the network is given: pixels, or activations below what is trained."""
        pixels = self._all_pixels(heed)
        if compiled.point.cut is None or compiled.config.stream:
            return pixels
        if self._below is None or self._below[0] != key:
            self._below = None
            self._below = (key, self._activations(compiled.point, pixels, heed))
        return self._below[1]

    def _activations(
        self, point: FreezePoint, pixels: BatchSource, heed: Callable[[], None]
    ) -> HeldArrays:
        stages = stages_of(self._network)
        cut = next(one.operation.output for one in stages if one.name == point.cut)
        below = load_keras().Model(self._network.inputs, cut)
        found = np.empty((len(self._paths), *point.shape), np.float16)
        for at in range(0, len(found), _AT_ONCE):
            heed()
            rows = np.arange(at, min(at + _AT_ONCE, len(found)))
            images = scaled(pixels.read(rows)[0], self._spec)
            found[rows] = np.asarray(below.predict_on_batch(images))
        return HeldArrays(found)

    def _all_pixels(self, heed: Callable[[], None]) -> BatchSource:
        """Decoded once where memory holds them, else in each epoch."""
        if self._pixels is not None:
            return self._pixels
        side = self._spec.input_size
        assert side is not None
        decoded = DecodedPhotos(self._paths, side, self._spec.resize_rule, Distortion())
        self._pixels = decoded
        if len(self._paths) * side * side * 3 <= available_memory() // _SHARE_OF_PIXELS:
            held = np.empty((len(self._paths), side, side, 3), np.uint8)
            for at in range(0, len(held), _AT_ONCE):
                heed()
                rows = np.arange(at, min(at + _AT_ONCE, len(held)))
                held[rows] = decoded.read(rows)[0]
            self._pixels = HeldArrays(held)
        return self._pixels


class NetworkLearner:
    """See `EpochLearner`."""

    def __init__(
        self,
        network: TunedNetwork,
        source: BatchSource,
        data: HeadData,
        config: TuningConfig,
        heed: Callable[[], None],
    ) -> None:
        self._network, self._source, self._heed = network, source, heed
        self._draw = BatchDraw(data, config)

    def learn(self, epoch: int) -> tuple[float, float]:
        """See `EpochLearner`."""
        batches = list(self._draw.epoch(epoch))
        sums = np.zeros(2)
        with closing(read_ahead(self._source, (rows for rows, _ in batches))) as fed:
            for (_, labels), arrays in zip(batches, fed, strict=True):
                self._heed()
                sums += self._network.train(arrays, labels)
        loss, accuracy = (sums / len(batches)).tolist()
        return loss, accuracy

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """See `EpochLearner`."""
        return self._network.head().logits(vectors_of(self._network, self._source, rows))

    def weights(self) -> Weights:
        """See `EpochLearner`."""
        return self._network.weights()

    def set_weights(self, weights: Weights) -> None:
        """See `EpochLearner`."""
        self._network.set_weights(weights)


def scaled(pixels: NDArray[np.uint8], spec: BackboneSpec) -> Any:
    """8-bit pixels as the network of a backbone wants them."""
    return scale_pixels(load_keras().ops, pixels, find_backbone(spec.name).scaling)


def settle_norms(network: Any, images: Any) -> None:
    """Let each batch normalisation of random weights have the statistics of some photos.

    As the data-dependent first weights of Mishkin and Matas (2016): else signals grow or vanish
    with the depth, for the normalisation would divide by 1.
    """
    norms = [
        stage.operation
        for stage in stages_of(network)
        if type(stage.operation).__name__ == "BatchNormalization"
    ]
    before = [(one.momentum, one.trainable) for one in norms]
    for one in norms:
        one.momentum, one.trainable = 0.0, True
    try:
        network(images, training=True)
    finally:
        for one, (momentum, trainable) in zip(norms, before, strict=True):
            one.momentum, one.trainable = momentum, trainable
