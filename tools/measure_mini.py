"""Measure the bundled backbone on classes that its training never saw.

A linear probe (logistic regression on standardised bottlenecks) learns from 20 photos a class and
is tested on the rest, for several random choices of these 20. It prints Markdown tables; those in
docs/inception_mini.md come from here. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mini.photos import HELD_OUT, HELD_OUT_INT, PhotoList, Pixels, read_squares
from numpy.typing import NDArray

from retrain_cli.backbones.inception_mini import (
    INPUT_SIZE,
    WEIGHTS_FILE,
    build_inception_mini,
)

TRAINING_PHOTOS = 20
PIXEL_SIDE = 32
SPEED_REPEATS = 5
BATCH = 32

Bottlenecks = NDArray[np.float32]


@dataclass(frozen=True)
class Contender:
    """A way to turn photos into vectors.

    Attributes:
        name: as the table shows it.
        size: input side in pixels.
        embed: `(n, size, size, 3) uint8` to `(n, width) float32`.
    """

    name: str
    size: int
    embed: Callable[[Pixels], Bottlenecks]


@dataclass(frozen=True)
class Score:
    """Accuracies of one probe, in percent, each the mean of per-class accuracies."""

    all: float
    known: float
    new: float


def list_held_out(folder: Path) -> PhotoList:
    """The photos of the held-out classes under a folder of class folders."""
    classes = tuple(sorted(HELD_OUT))
    found = [(p, i) for i, name in enumerate(classes) for p in sorted((folder / name).iterdir())]
    labels = np.array([label for _, label in found], np.int64)
    return PhotoList(tuple(path for path, _ in found), labels, classes)


def list_contenders(weights: Path, teachers: Path) -> list[Contender]:
    """The bundled backbone, what it must beat, and two well-known small networks."""
    import keras

    keras.utils.set_random_seed(0)
    untrained, mini = build_inception_mini(), build_inception_mini()
    mini.load_weights(weights)
    shape = (224, 224, 3)
    quarter = keras.applications.MobileNet(
        shape, 0.25, include_top=False, weights=str(teachers / "mobilenet_2_5_224_tf_no_top.h5")
    )
    second = keras.applications.MobileNetV2(shape, include_top=False, weights=None)
    second.load_weights(teachers / "mobilenet_v2_1.0_224_notop.weights.h5")
    return [
        Contender("inception_mini", INPUT_SIZE, _embedder(mini)),
        Contender("the same, random weights", INPUT_SIZE, _embedder(untrained)),
        Contender(f"pixels, {PIXEL_SIDE} x {PIXEL_SIDE}", PIXEL_SIDE, _flatten),
        Contender("MobileNet 0.25", 224, _embedder(quarter)),
        Contender("MobileNetV2", 224, _embedder(second)),
    ]


def _flatten(photos: Pixels) -> Bottlenecks:
    """The pixels themselves, in [-1, 1]."""
    return photos.reshape(len(photos), -1).astype(np.float32) / 127.5 - 1


def _embedder(model: Any) -> Callable[[Pixels], Bottlenecks]:
    """Scaling, the network and average pooling as one graph; bytes go in."""
    import keras

    pixels = keras.Input(model.input_shape[1:], dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    pooled = keras.layers.GlobalAveragePooling2D()(model(scaled))
    whole = keras.Model(pixels, pooled)

    def embed(photos: Pixels) -> Bottlenecks:
        parts = (photos[i : i + BATCH] for i in range(0, len(photos), BATCH))
        return np.concatenate([whole.predict_on_batch(part) for part in parts])

    return embed


def probe(bottlenecks: Bottlenecks, photos: PhotoList, seed: int) -> Score:
    """Train and test one linear probe."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = _choose_training(photos.labels, seed)
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    head.fit(bottlenecks[train], photos.labels[train])
    right = head.predict(bottlenecks[~train]) == photos.labels[~train]
    per_class = [100 * right[photos.labels[~train] == i].mean() for i in range(len(photos.classes))]
    known = [name in HELD_OUT_INT for name in photos.classes]
    accuracies = np.array(per_class)
    return Score(
        all=float(accuracies.mean()),
        known=float(accuracies[known].mean()),
        new=float(accuracies[np.logical_not(known)].mean()),
    )


def _choose_training(labels: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Mask of the photos to learn from: TRAINING_PHOTOS of each class, at random."""
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        chosen[rng.permutation(np.flatnonzero(labels == label))[:TRAINING_PHOTOS]] = True
    return chosen


def measure_accuracy(contender: Contender, photos: PhotoList, seeds: int) -> str:
    """One row of the table: mean and standard deviation over the seeds."""
    bottlenecks = contender.embed(read_squares(photos.paths, contender.size))
    scores = [probe(bottlenecks, photos, seed) for seed in range(seeds)]
    every = np.array([score.all for score in scores])
    known = np.mean([score.known for score in scores])
    new = np.mean([score.new for score in scores])
    return (
        f"| {contender.name} | {every.mean():.1f} ± {every.std():.1f} | {known:.1f} | {new:.1f} |"
    )


def measure_speed(contender: Contender, paths: Sequence[Path]) -> float:
    """Photos per second from file to bottleneck, the best of a few repeats.

    Two threads decode the next batches while the network works on the present one.
    """
    batches = [paths[i : i + BATCH] for i in range(0, len(paths) - BATCH + 1, BATCH)]
    contender.embed(read_squares(batches[0], contender.size))

    def run() -> float:
        start = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            for pixels in pool.map(lambda b: read_squares(b, contender.size, 1), batches):
                contender.embed(pixels)
        return len(batches) * BATCH / (time.perf_counter() - start)

    return max(run() for _ in range(SPEED_REPEATS))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measure inception_mini on held-out classes.")
    parser.add_argument("--labelled", type=Path, required=True, metavar="FOLDER",
                        help="class folders, the held-out ones among them")  # fmt: skip
    parser.add_argument("--teachers", type=Path, required=True, metavar="FOLDER",
                        help="holds the weights of MobileNet 0.25 and MobileNetV2")  # fmt: skip
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FILE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="measure contenders of this name only")
    parser.add_argument("--speed", action="store_true", help="measure the speed too")
    return parser.parse_args()


def main() -> int:
    """Print the tables."""
    arguments = parse_arguments()
    photos = list_held_out(arguments.labelled)
    contenders = list_contenders(arguments.weights, arguments.teachers)
    chosen = [one for one in contenders if arguments.only in one.name]
    print("| | all 12 classes | 6 INT | 6 EXT |\n|---|---|---|---|")
    for contender in chosen:
        print(measure_accuracy(contender, photos, arguments.seeds), flush=True)
    if arguments.speed:
        print("\n| | img/s, from file to bottleneck |\n|---|---|")
        for contender in chosen:
            print(
                f"| {contender.name} | {measure_speed(contender, photos.paths):.0f} |", flush=True
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
