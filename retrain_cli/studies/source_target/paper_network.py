"""The convolutional network of Molina et al., 8 layers and 848,226 parameters for two classes.

Their Table 1 gives shapes and parameters of all layers, which fix everything but two things: what
comes behind a convolution (ReLU here, the usual choice) and how pixels are scaled (to 0 to 1 here).
Two outputs have a softmax and cross-entropy here; for other numbers of classes the last layer alone
differs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import float32_by_default, load_keras
from retrain_cli.errors import DatasetError, setting
from retrain_cli.finetuning.batch_sources import DecodedPhotos
from retrain_cli.heads.memory import available_memory
from retrain_cli.heads.softmax import check_learns
from retrain_cli.images.distortions import Distortion
from retrain_cli.studies.source_target.lessons import Heed, LearningRules, Rows

SIDE = 50
PARAMETERS_OF_TWO = 848_226
_PHOTO_BYTES = SIDE * SIDE * 3
_AT_ONCE = 256
_FLAT = 6_400


def build_paper_network(n_classes: int) -> tuple[Any, Any]:
    """The layers that scheme 4 keeps as they are, and the two that it trains again.

    Args:
        n_classes: numbers that come out, as logits.

    Returns:
        From `(n, 50, 50, 3) uint8` to `(n, 6400)`, and from there to `(n, n_classes)` logits.
    """
    keras = load_keras()
    layers = keras.layers
    with float32_by_default():
        body = keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3), dtype="uint8"),
                layers.Rescaling(1 / 255),
                layers.Conv2D(32, 3, activation="relu"),
                layers.Conv2D(32, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(64, 3, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
            ]
        )
        top = keras.Sequential(
            [
                keras.Input((_FLAT,)),
                layers.Dense(128, activation="relu"),
                layers.Dense(n_classes),
            ]
        )
    return body, top


def first_weights(shapes: Sequence[tuple[int, ...]], seed: int) -> list[NDArray[np.float32]]:
    """Weights of an untrained network: Glorot's uniform kernels, as Keras has them, and no biases.

    Args:
        shapes: of the weights, the inputs of a kernel last but one, its outputs last.
        seed: equal ones give equal weights.
    """
    generator = np.random.default_rng(seed)
    found = []
    for shape in shapes:
        if len(shape) == 1:
            found.append(np.zeros(shape, np.float32))
            continue
        field = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (field * (shape[-2] + shape[-1])))
        found.append(generator.uniform(-limit, limit, shape).astype(np.float32))
    return found


class PixelShelf:
    """Photos of 50 x 50 pixels, decoded once and held as 8-bit numbers: 7.5 kB each.

    They are resized with bilinear interpolation; safe between threads.

    Args:
        paths: of each row of the dataset.
        remedy: what to do where memory does not hold them; None for fewer classes.
    """

    def __init__(self, paths: Sequence[PurePath], remedy: str | None = None) -> None:
        self._paths = paths
        self._remedy = remedy or f"choose fewer classes with {setting('classes')}"
        self._lock = threading.Lock()
        self._place: NDArray[np.int64] | None = None
        self._pixels = np.empty((0, SIDE, SIDE, 3), np.uint8)

    def need(self, rows: Rows) -> None:
        """Decode these photos, unless that is done.

        Raises:
            DatasetError: memory does not hold them, or a photo cannot be read any more.
        """
        with self._lock:
            if self._place is None:
                self._decode(rows)

    def read(self, rows: Rows) -> NDArray[np.uint8]:
        """Pixels of photos that were needed, `(n, 50, 50, 3) uint8`."""
        assert self._place is not None
        return self._pixels[self._place[rows]]

    def _decode(self, rows: Rows) -> None:
        room, wanted = available_memory() // 2, len(rows) * _PHOTO_BYTES
        if wanted > room:
            raise DatasetError(
                f"photos of {SIDE} x {SIDE} pixels are held in memory, and {len(rows):,} need "
                f"{wanted >> 20:,} MiB of the {room >> 20:,} that are free: {self._remedy}"
            )
        source = DecodedPhotos(self._paths, SIDE, "squash", Distortion())
        pixels = np.empty((len(rows), SIDE, SIDE, 3), np.uint8)
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            pixels[start : start + len(part)] = source.read(part)[0]
        place = np.full(len(self._paths), -1)
        place[rows] = np.arange(len(rows))
        self._pixels, self._place = pixels, place


class PaperSchool:
    """Networks of the paper, from random weights; one pupil at a time.

    All pupils are one network whose weights begin anew: building and compiling one takes longer
    than teaching it some hundred photos.

    Args:
        shelf: the photos.
        rules: how they are trained.
    """

    def __init__(self, shelf: PixelShelf, rules: LearningRules) -> None:
        self._shelf, self._rules = shelf, rules.validate()
        self._networks: dict[int, _Network] = {}

    def pupil(self, labels: NDArray[np.int32], n_classes: int, seed: int, heed: Heed) -> PaperPupil:
        """See `School`."""
        self._shelf.need(np.flatnonzero(labels >= 0))
        if n_classes not in self._networks:
            self._networks[n_classes] = _Network(n_classes, self._rules.learning_rate)
        network = self._networks[n_classes]
        network.begin(seed)
        return PaperPupil(self._shelf, self._rules, network, labels, seed, heed)


class _Network:
    """The network, compiled whole and its top alone; XLA is left off, which is slow for few steps.

    Args:
        n_classes: numbers that come out.
        learning_rate: of RMSprop.
    """

    def __init__(self, n_classes: int, learning_rate: float) -> None:
        keras = load_keras()
        engine = keras.backend.backend()
        check_learns(engine)
        self.body, self.top = build_paper_network(n_classes)
        with float32_by_default():
            self.whole = keras.Sequential([self.body, self.top])
            for model in (self.whole, self.top):
                optimizer = keras.optimizers.RMSprop(learning_rate)
                optimizer.build(model.trainable_variables)
                model.compile(
                    optimizer=optimizer,
                    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                    jit_compile="auto" if engine == "jax" else False,
                )
        self._fresh = {
            id(one): np.array(one.numpy())
            for model in (self.whole, self.top)
            for one in model.optimizer.variables
        }

    def begin(self, seed: int) -> None:
        """Forget all that was learned."""
        shapes = [one.shape for one in self.whole.get_weights()]
        self.whole.set_weights(first_weights(shapes, seed))
        for model in (self.whole, self.top):
            for one in model.optimizer.variables:
                one.assign(self._fresh[id(one)])


class PaperPupil:
    """See `Pupil`."""

    def __init__(
        self,
        shelf: PixelShelf,
        rules: LearningRules,
        network: _Network,
        labels: NDArray[np.int32],
        seed: int,
        heed: Heed,
    ) -> None:
        self._shelf, self._rules, self._labels, self._heed = shelf, rules, labels, heed
        self._network = network
        self._generator = np.random.default_rng(seed)

    @property
    def parts(self) -> tuple[Any, Any]:
        """The layers that are kept when the top learns again, and the top."""
        return self._network.body, self._network.top

    def learn(self, rows: Rows) -> None:
        """See `Pupil`."""
        self._train(self._network.whole, self._shelf.read, rows)

    def relearn_top(self, rows: Rows) -> None:
        """See `Pupil`; what comes out of the layers below is computed once."""
        features = np.concatenate(list(self._feature_parts(rows)))
        place = np.full(len(self._labels), -1)
        place[rows] = np.arange(len(rows))
        self._train(self._network.top, lambda batch: features[place[batch]], rows)

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """See `Pupil`."""
        top = self._network.top
        return np.concatenate(
            [
                np.asarray(top.predict_on_batch(part), np.float32)
                for part in self._feature_parts(rows)
            ]
        )

    def _feature_parts(self, rows: Rows) -> Iterator[NDArray[np.float32]]:
        """What the layers that are kept make of some photos, a part at a time."""
        for start in range(0, len(rows), _AT_ONCE):
            self._heed()
            pixels = self._shelf.read(rows[start : start + _AT_ONCE])
            yield np.asarray(self._network.body.predict_on_batch(pixels), np.float32)

    def _train(self, model: Any, read: Callable[[Rows], NDArray[Any]], rows: Rows) -> None:
        for batch in self._rules.batches(rows, self._generator):
            self._heed()
            model.train_on_batch(read(batch), self._labels[batch])
