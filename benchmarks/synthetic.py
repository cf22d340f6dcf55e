"""Made-up photos, vectors and workspaces of any size, without a network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import retrain_cli as rt
from benchmarks.fresh import run_retrain
from retrain_cli.cache.cache_files import cache_path
from retrain_cli.cache.mapped import aligned_matrix
from retrain_cli.cache.store import BottleneckStore
from retrain_cli.datasets.file_index import FileIndex, FileRecord, FolderRecord
from retrain_cli.datasets.splits import Split
from retrain_cli.heads.data import HeadData
from retrain_cli.workflows.shared.last_used import LastUsed

WIDTH = 2048
FOLDERS = 100
OPEN = rt.BackboneSpec(name="mobilenet", alpha=0.5, weights="random", input_size=64)
_OPEN_NETWORK = ("--backbone", "mobilenet", "--alpha", "0.5")
OPEN_FLAGS = (*_OPEN_NETWORK, "--weights", "random", "--input-size", "64")
SPEC = replace(OPEN, precision="float32", runtime="keras")
"""What `OPEN` comes to where its cache is full; nothing has to be converted for it."""

_BATCH = 1000
_SIGNAL = 0.15  # of the noise: classes overlap, so that there is something to learn


class MeanColour:
    """Stands in for a network, where its speed is not the question."""

    width = 512
    input_size = (64, 64)
    device = "cpu:0"
    any_batch_size = True
    batches_at_once = 1

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The mean colour, over and over: `(n, 512) float32`."""
        means = images.mean(axis=(1, 2))
        return np.tile(means, (1, -(-self.width // 3)))[:, : self.width].astype(np.float32)


def write_photos(root: Path, files: int, side: int = 4, seed: int = 0) -> Path:
    """Small bitmaps of noise in 100 classes, no two alike."""
    generator = np.random.default_rng(seed)
    for number in range(files):
        folder = root / f"class_{number % FOLDERS:03}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 255, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.bmp")
    return root


def fill(photos: Path, workspace: Path) -> None:
    """Compute the bottlenecks of photos with the stand-in."""
    request = rt.BottleneckRequest(photos, SPEC, settings=rt.ExtractionSettings(512))
    rt.fill_cache(request, rt.Workspace(workspace), load=lambda spec, device: MeanColour())


def train_labeller(photos: Path, workspace: Path) -> None:
    """A run of the stand-in on two photos a class, made up in `photos`.

    Raises:
        RuntimeError: training failed.
    """
    fill(write_photos(photos, 2 * FOLDERS, seed=1), workspace)
    trained = run_retrain("--workspace", str(workspace), "--quiet", "train", "--steps", "1")
    if trained.code:
        raise RuntimeError("the training of the labeller failed")


def digest(number: int) -> bytes:
    """A digest like that of a file."""
    return hashlib.blake2b(str(number).encode(), digest_size=16).digest()


def head_data(images: int, classes: int, width: int = WIDTH) -> HeadData:
    """Overlapping clusters, all for training; made in pieces, for memory is measured."""
    generator = np.random.default_rng(0)
    labels = np.arange(images, dtype=np.int32) % classes
    centres = _SIGNAL * generator.standard_normal((classes, width), dtype=np.float32)
    vectors = aligned_matrix(images, width)  # as the cache gives them
    for start in range(0, images, _BATCH):
        rows = slice(start, start + _BATCH)
        vectors[rows] = centres[labels[rows]]
        vectors[rows] += generator.standard_normal(vectors[rows].shape, dtype=np.float32)
    names = tuple(f"class {number:05}" for number in range(classes))
    return HeadData(vectors, labels, names, np.arange(images), np.empty(0, np.int64))


def write_store(path: Path, images: int, width: int = WIDTH) -> None:
    """A cache of noise under the digests of `digest`."""
    with BottleneckStore(path, {"name": "synthetic"}) as store:
        _fill_store(store, np.zeros(images, np.int64), width)


def write_workspace(
    root: Path,
    images: int | Mapping[Split, int],
    classes: int,
    width: int = WIDTH,
    spec: rt.BackboneSpec = SPEC,
    signal: float = 0.0,
) -> rt.Workspace:
    """A workspace as if the bottlenecks of so many photos had been computed.

    Args:
        root: the folder of the workspace.
        images: how many photos, or how many of each split; they go to the classes in turn.
        classes: how many classes.
        width: numbers of a bottleneck.
        spec: the backbone.
        signal: deviation of the classes' centres, where that of the photos around them is 1.
    """
    workspace = rt.Workspace(root)
    workspace.prepare()
    backbone = spec.resolve()
    used = LastUsed(Path("/synthetic"), backbone, "none", None, complete=True)
    used.save(workspace)
    places = _places(images, classes)
    with FileIndex(workspace.index_path) as index:
        dataset = index.dataset_id(used.image_dir)
        index.replace_folders(dataset, {_folder(*one): _record(*one) for one in set(places)})
        for start in range(0, len(places), _BATCH):
            records = (
                (_folder(*place), f"{row:07}.jpg", FileRecord(1, 1, digest(row)))
                for row, place in enumerate(places[start : start + _BATCH], start)
            )
            index.remember(dataset, records)
    with BottleneckStore(cache_path(workspace, backbone), backbone.identity()) as store:
        _fill_store(store, np.array([label for _, label in places]), width, signal)
    return workspace


def _places(images: int | Mapping[Split, int], classes: int) -> list[tuple[Split | None, int]]:
    """Split and class of each photo."""
    parts = {None: images} if isinstance(images, int) else images
    return [(split, row % classes) for split, count in parts.items() for row in range(count)]


def _record(split: Split | None, label: int) -> FolderRecord:
    return FolderRecord(f"class_{label:06}", split)


def _folder(split: Split | None, label: int) -> str:
    name = _record(split, label).class_name
    return f"{split}/{name}" if split else name


def _fill_store(
    store: BottleneckStore, labels: NDArray[np.int64], width: int, signal: float = 0.0
) -> None:
    generator = np.random.default_rng(0)
    n_classes = int(labels.max()) + 1
    centres = np.float32(signal) * generator.standard_normal((n_classes, width), dtype=np.float32)
    for start in range(0, len(labels), _BATCH):
        own = labels[start : start + _BATCH]
        vectors = generator.standard_normal((len(own), width), dtype=np.float32)
        vectors += centres[own]
        store.put([digest(row) for row in range(start, start + len(own))], vectors)
