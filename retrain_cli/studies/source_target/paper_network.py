"""The convolutional network of Molina et al., 8 layers and 848,226 parameters for two classes.

Their Table 1 gives shapes and parameters of all layers, which fix everything but two things: what
comes behind a convolution (ReLU here, the usual choice) and how pixels are scaled (to 0 to 1 here).
Two outputs have a softmax and cross-entropy here; for other numbers of classes the last layer alone
differs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import float32_by_default, load_keras
from retrain_cli.errors import DatasetError, setting
from retrain_cli.finetuning.batch_sources import DecodedPhotos
from retrain_cli.heads.memory import available_memory
from retrain_cli.heads.softmax import check_learns
from retrain_cli.studies.source_target.lessons import Heed, LearningRules, Rows

SIDE = 50
PARAMETERS_OF_TWO = 848_226
_PHOTO_BYTES = SIDE * SIDE * 3
_AT_ONCE = 256
_FLAT = 6_400


def build_paper_network(n_classes: int, seed: int = 0) -> tuple[Any, Any]:
    """The layers that scheme 4 keeps as they are, and the two that it trains again.

    Args:
        n_classes: numbers that come out, as logits.
        seed: of the first weights (Glorot's uniform ones, as Keras does).

    Returns:
        From `(n, 50, 50, 3) uint8` to `(n, 6400)`, and from there to `(n, n_classes)` logits.
    """
    keras = load_keras()
    layers = keras.layers

    def kernel(number: int) -> Any:
        return keras.initializers.GlorotUniform(seed=5 * seed + number)

    def convolution(filters: int, number: int) -> Any:
        return layers.Conv2D(filters, 3, activation="relu", kernel_initializer=kernel(number))

    with float32_by_default():
        body = keras.Sequential(
            [
                keras.Input((SIDE, SIDE, 3), dtype="uint8"),
                layers.Rescaling(1 / 255),
                convolution(32, 0),
                convolution(32, 1),
                layers.MaxPooling2D(2),
                convolution(64, 2),
                layers.MaxPooling2D(2),
                layers.Flatten(),
            ]
        )
        top = keras.Sequential(
            [
                keras.Input((_FLAT,)),
                layers.Dense(128, activation="relu", kernel_initializer=kernel(3)),
                layers.Dense(n_classes, kernel_initializer=kernel(4)),
            ]
        )
    return body, top


class PixelShelf:
    """Photos of 50 x 50 pixels, decoded once and held as 8-bit numbers: 7.5 kB each.

    They are resized with bilinear interpolation; safe between threads.

    Args:
        paths: of each row of the dataset.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
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
                f"{wanted >> 20:,} MiB of the {room >> 20:,} that are free: choose fewer classes "
                f"with {setting('classes')}"
            )
        source = DecodedPhotos(self._paths, SIDE, "squash")
        pixels = np.empty((len(rows), SIDE, SIDE, 3), np.uint8)
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            pixels[start : start + len(part)] = source.read(part)[0]
        place = np.full(len(self._paths), -1)
        place[rows] = np.arange(len(rows))
        self._pixels, self._place = pixels, place


class PaperSchool:
    """Networks of the paper, from random weights.

    Args:
        shelf: the photos.
        rules: how they are trained.
    """

    def __init__(self, shelf: PixelShelf, rules: LearningRules) -> None:
        self._shelf, self._rules = shelf, rules.validate()

    def pupil(self, labels: NDArray[np.int32], n_classes: int, seed: int, heed: Heed) -> PaperPupil:
        """See `School`."""
        self._shelf.need(np.flatnonzero(labels >= 0))
        return PaperPupil(self._shelf, self._rules, labels, n_classes, seed, heed)


class PaperPupil:
    """See `Pupil`."""

    def __init__(
        self,
        shelf: PixelShelf,
        rules: LearningRules,
        labels: NDArray[np.int32],
        n_classes: int,
        seed: int,
        heed: Heed,
    ) -> None:
        check_learns(load_keras().backend.backend())
        self._shelf, self._rules, self._labels, self._heed = shelf, rules, labels, heed
        self._generator = np.random.default_rng(seed)
        self._body, self._top = build_paper_network(n_classes, seed)

    @property
    def parts(self) -> tuple[Any, Any]:
        """The layers that are kept when the top learns again, and the top."""
        return self._body, self._top

    def learn(self, rows: Rows) -> None:
        """See `Pupil`."""
        keras = load_keras()
        with float32_by_default():
            model = keras.Sequential([self._body, self._top])
        self._train(model, self._shelf.read, rows)

    def relearn_top(self, rows: Rows) -> None:
        """See `Pupil`; what comes out of the layers below is computed once."""
        features = self._features(rows)
        place = np.full(len(self._labels), -1)
        place[rows] = np.arange(len(rows))
        self._train(self._top, lambda batch: features[place[batch]], rows)

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """See `Pupil`."""
        parts = [
            np.asarray(self._top.predict_on_batch(part), np.float32)
            for part in self._feature_parts(rows)
        ]
        return np.concatenate(parts)

    def _features(self, rows: Rows) -> NDArray[np.float32]:
        return np.concatenate(list(self._feature_parts(rows)))

    def _feature_parts(self, rows: Rows) -> Any:
        for start in range(0, len(rows), _AT_ONCE):
            self._heed()
            pixels = self._shelf.read(rows[start : start + _AT_ONCE])
            yield np.asarray(self._body.predict_on_batch(pixels), np.float32)

    def _train(self, model: Any, read: Any, rows: Rows) -> None:
        """Minimise the cross-entropy; XLA is left off, which is slow for few steps."""
        keras = load_keras()
        with float32_by_default():
            model.compile(
                optimizer=keras.optimizers.RMSprop(self._rules.learning_rate),
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                jit_compile="auto" if keras.backend.backend() == "jax" else False,
            )
            for batch in self._rules.batches(rows, self._generator):
                self._heed()
                model.train_on_batch(read(batch), self._labels[batch])
