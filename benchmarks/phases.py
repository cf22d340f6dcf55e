"""The phases one by one, each to be run in a process of its own.

    python -m benchmarks.phases PHASE SIZE [FOLDER]

prints the seconds that the work alone took. `benchmarks.fresh.measure_phase` calls this.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import retrain_cli as rt
from benchmarks import synthetic
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.predictions import ImageTable, Predictions, predict
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.training import train_head

CLASSES = 100  # where images grow
IMAGES = 20_000  # where classes grow
_STEPS = 300
_BATCH = 1000

Work = Callable[[], object]


def write(images: int, folder: Path) -> Work:
    """Write vectors into a cache, 1000 a transaction."""
    vectors = np.random.default_rng(0).standard_normal((_BATCH, synthetic.WIDTH), np.float32)
    path = folder / f"write-{images}.sqlite"
    path.unlink(missing_ok=True)

    def work() -> None:
        with BottleneckStore(path, {"name": "synthetic"}) as store:
            for start in range(0, images, _BATCH):
                rows = range(start, min(start + _BATCH, images))
                store.put([synthetic.digest(row) for row in rows], vectors[: len(rows)])

    return work


def read(images: int, folder: Path) -> Work:
    """Read a cache into one matrix; the file is the one that `write` left."""
    digests = [synthetic.digest(row) for row in range(images)]

    def work() -> None:
        with BottleneckStore(folder / f"write-{images}.sqlite") as store:
            store.read(digests)

    return work


def fill(images: int, folder: Path) -> Work:
    """Read, hash and decode small files, with a stand-in for the network; write all of it."""
    photos, workspace = folder / f"photos-{images}", folder / f"workspace-{images}"
    return lambda: synthetic.fill(photos, workspace)


def warm(images: int, folder: Path) -> Work:
    """The same again: nothing is to be done."""
    photos, workspace = folder / f"photos-{images}", folder / f"workspace-{images}"
    request = rt.BottleneckRequest(photos, synthetic.OPEN)
    return lambda: rt.fill_cache(request, rt.Workspace(workspace))


def label(images: int, folder: Path) -> Work:
    """Name so many new photos, read, hashed and decoded, with the stand-in for the network.

    The workspace is the one that `synthetic.train_labeller` made.
    """
    photos, workspace = folder / f"photos-{images}", folder / "labeller"
    sources = [rt.Source(str(path)) for path in sorted(photos.rglob("*.bmp"))]

    def work() -> None:
        with rt.Labeller(
            rt.LabelRequest(batch_size=512),
            rt.Workspace(workspace),
            load=lambda spec, device: synthetic.MeanColour(),
        ) as labeller:
            assert sum(1 for _ in labeller.label(sources)) == images

    return work


def train(images: int, folder: Path) -> Work:
    """Train on so many images, 100 classes, from a matrix in memory."""
    return _training(synthetic.head_data(images, CLASSES))


def evaluate(images: int, folder: Path) -> Work:
    """Predictions for so many images, 100 classes, and every figure of them."""
    return _evaluation(synthetic.head_data(images, CLASSES))


def train_classes(classes: int, folder: Path) -> Work:
    """Train on 20,000 images of so many classes."""
    return _training(synthetic.head_data(IMAGES, classes))


def evaluate_classes(classes: int, folder: Path) -> Work:
    """Predictions and figures for 20,000 images of so many classes."""
    return _evaluation(synthetic.head_data(IMAGES, classes))


def _training(data: HeadData) -> Work:
    config = rt.TrainingConfig(steps=_STEPS)
    train_head(synthetic.head_data(200, 2), rt.TrainingConfig(steps=1))  # the engine is up
    return lambda: train_head(data, config)


def _evaluation(data: HeadData) -> Work:
    head = Head.initial(data.class_names, data.width, 0)
    digests = np.zeros((len(data.labels), 16), np.uint8)
    splits = np.full(len(data.labels), 2, np.uint8)  # all are test images
    images = ImageTable(splits, digests, [""] * len(data.labels), data.labels)
    origins = [ClassOrigin(name, None) for name in data.class_names]

    def work() -> None:
        predictions: Predictions = predict(head, data.bottlenecks, images)
        EvalResult.from_counts(EvalCounts.from_predictions(predictions, "test"), origins, "test")

    return work


PHASES: dict[str, Callable[[int, Path], Work]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        write,
        read,
        fill,
        warm,
        label,
        train,
        evaluate,
        train_classes,
        evaluate_classes,
    )
}


def main() -> None:
    """Run one phase."""
    phase, size = PHASES[sys.argv[1]], int(sys.argv[2])
    work = phase(size, Path(sys.argv[3]) if len(sys.argv) > 3 else Path())
    started = time.perf_counter()
    work()
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
