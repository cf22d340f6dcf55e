"""The teachers: MobileNetV2 with its ImageNet top, and Inception v3 up to `mixed8`.

They run through OpenVINO, which on a CPU is several times faster than Keras's own prediction.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mini.photos import Pixels

LOGITS_FILE = "mobilenet_v2_1.0_224.weights.h5"
INCEPTION_FILE = "inception_v3_2015_mixed8.weights.h5"
VIEW_SIDE = 224
INCEPTION_SIDE = 192

Forward = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]


@dataclass(frozen=True)
class Lesson:
    """What the teachers say about some views; all arrays are float16.

    Attributes:
        logits: `(n, 1000)`, MobileNetV2's ImageNet logits.
        mobilenet: `(n, 1280)`, MobileNetV2's pooled features.
        inception: `(n, 1280)`, Inception v3's `mixed8`, average-pooled.
    """

    logits: NDArray[np.float16]
    mobilenet: NDArray[np.float16]
    inception: NDArray[np.float16]


class Teachers:
    """Both teachers, ready to be asked.

    Args:
        folder: holds LOGITS_FILE and INCEPTION_FILE.
        scratch: where the converted models go.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._mobilenet = _compile(_build_mobilenet(folder), scratch / "mobilenet.xml")
        self._inception = _compile(_build_inception(folder), scratch / "inception.xml")

    def teach(self, views: Pixels) -> Lesson:
        """Ask about `(n, 224, 224, 3) uint8` views."""
        logits, mobilenet = self._mobilenet(_scale(views))
        (inception,) = self._inception(_scale(resize_all(views, INCEPTION_SIDE)))
        return Lesson(*(x.astype(np.float16) for x in (logits, mobilenet, inception)))


def resize_all(views: Pixels, side: int) -> Pixels:
    """Resize `(n, s, s, 3) uint8` to `(n, side, side, 3) uint8`, anti-aliased."""
    size = (side, side)
    resized = (Image.fromarray(view).resize(size, Image.Resampling.BICUBIC) for view in views)
    return np.stack([np.asarray(view) for view in resized])


def _scale(views: Pixels) -> NDArray[np.float32]:
    """Bytes to [-1, 1], as all of these networks want them."""
    return views.astype(np.float32) / 127.5 - 1


def _build_mobilenet(folder: Path) -> Any:
    import keras

    base = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    base.load_weights(folder / LOGITS_FILE)
    return keras.Model(base.input, [base.output, base.layers[-1].input])


def _build_inception(folder: Path) -> Any:
    import keras

    shape = (INCEPTION_SIDE, INCEPTION_SIDE, 3)
    base = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=shape)
    body = keras.Model(base.input, base.get_layer("mixed8").output)
    body.load_weights(folder / INCEPTION_FILE)
    pooled = keras.layers.GlobalAveragePooling2D()(body.output)
    return keras.Model(body.input, pooled)


def _compile(model: Any, path: Path) -> Forward:
    """Convert a Keras model, keep it as `path`, and compile it for the CPU."""
    import openvino

    if not path.exists():
        model.export(str(path), format="openvino", verbose=False)
    options = {"INFERENCE_NUM_THREADS": os.cpu_count() or 1}
    compiled = openvino.Core().compile_model(path, "CPU", options)

    def forward(batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        answer = compiled(batch)
        return [answer[i] for i in range(len(compiled.outputs))]

    return forward
