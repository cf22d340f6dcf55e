"""Training on vectors that memory does not hold: shuffled, in blocks, and against memory.

The file of vectors is dropped from memory every hundred steps, as if the machine had none to spare
for it, so that every step reads the disk. What is told of memory is what belongs to the process
alone, the file's own pages left out.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import retrain_cli as rt
from benchmarks import synthetic
from retrain_cli.heads.config import Sampling
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.history import TrainingProgress
from retrain_cli.heads.training import train_head

WIDTH = 1280
_CLASSES = 200
_HELD_OUT = 20_000
_WAYS: tuple[tuple[str, Sampling], ...] = (
    ("memory", "shuffled"),
    ("memory", "blocks"),
    ("disk", "blocks"),
    ("disk", "shuffled"),
)


@dataclass(frozen=True)
class DiskTraining:
    """A training from memory or from the disk.

    Attributes:
        place: memory or disk.
        sampling: how batches were drawn.
        images: to train on, class after class.
        steps: of 100 images.
        images_per_second: by the clock.
        ratio: the same, over that from memory, shuffled.
        megabytes: that the process took more at its peak than before training.
        top1: on images that were held out.
    """

    place: str
    sampling: str
    images: int
    steps: int
    images_per_second: float
    ratio: float
    megabytes: float
    top1: float


def measure(images: int, steps: int, seed: int = 0) -> list[DiskTraining]:
    """Train in each of the ways in turn, on the same images."""
    data = _class_after_class(images + _HELD_OUT)
    generator = np.random.default_rng(0)
    held_out = np.sort(generator.permutation(len(data.labels))[:_HELD_OUT])
    training = np.setdiff1d(np.arange(len(data.labels)), held_out)
    data = replace(data, training=training)
    train_head(synthetic.head_data(400, _CLASSES, WIDTH), rt.TrainingConfig(steps=1))  # it is up
    found: list[DiskTraining] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vectors")
        data.bottlenecks.tofile(path)
        for place, sampling in _WAYS:
            on_disk = replace(data, bottlenecks=_mapped(path, data.width))
            config = rt.TrainingConfig(steps=steps, sampling=sampling, seed=seed)
            chosen = on_disk if place == "disk" else data
            told = _Listener(path if place == "disk" else None, on_disk.bottlenecks)
            started = time.perf_counter()
            trained = train_head(chosen, config, on_progress=told, memory_limit=_limit(place))
            rate = steps * config.batch_size / (time.perf_counter() - started)
            top1 = trained.head.top_k(data.bottlenecks[held_out], 1)[0][:, 0]
            found.append(
                DiskTraining(
                    place,
                    sampling,
                    images,
                    steps,
                    rate,
                    rate / (found[0].images_per_second if found else rate),
                    told.most - told.before,
                    float((top1 == data.labels[held_out]).mean()),
                )
            )
    return found


def _limit(place: str) -> int | None:
    return 0 if place == "disk" else None


def _class_after_class(images: int) -> HeadData:
    """As a folder with a sub-folder a class gives them."""
    data = synthetic.head_data(images, _CLASSES, WIDTH)
    order = np.argsort(data.labels, kind="stable")
    return replace(data, bottlenecks=data.bottlenecks[order], labels=data.labels[order])


def _mapped(path: Path, width: int) -> NDArray[np.float32]:
    return np.memmap(path, np.float32, "r").reshape(-1, width)


class _Listener:
    """Notes memory at each evaluation, and drops the file from it."""

    def __init__(self, path: Path | None, matrix: NDArray[np.float32]) -> None:
        self._path, self._matrix = path, matrix
        self.before = self.most = own_megabytes()
        self._drop()

    def __call__(self, progress: TrainingProgress) -> None:
        self.most = max(self.most, own_megabytes())
        self._drop()

    def _drop(self) -> None:
        if self._path is None:
            return
        base = self._matrix.base
        while not isinstance(base, mmap.mmap):
            assert base is not None
            base = base.base
        base.madvise(mmap.MADV_DONTNEED)
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def own_megabytes() -> float:
    """Memory of this process that is no file's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (own,) = (line.split()[1] for line in lines if line.startswith("RssAnon:"))
    return int(own) / 1e3
