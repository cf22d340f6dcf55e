"""Where the tests of provenance make their runs: a workspace, photos and a fake network.

The numbers of the network change with every setting of the backbone, so a setting that a command
loses is seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from helpers import SMALL_SPEC
from numpy.typing import NDArray
from PIL import Image

from retrain_cli.backbones.source_top import SourceTop
from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.runs.run import RunStore
from retrain_cli.workflows.add_class import AddClassRequest, add_class
from retrain_cli.workflows.bottlenecks import BottleneckRequest, fill_cache
from retrain_cli.workflows.calibrate import calibrate
from retrain_cli.workflows.train import TrainRequest, train_run
from retrain_cli.workspace import Workspace

CLASSES = {"ant": (118, 105, 96), "bee": (128, 116, 104), "teapot": (118, 122, 108)}
SHORT = TrainingConfig(
    steps=30, eval_every=10, batch_size=20, validation_percentage=25, testing_percentage=25
)
OTHER_SETTINGS: dict[str, Any] = {
    "steps": 33,
    "optimizer": "rmsprop",
    "learning_rate": 0.037,
    "epsilon": 0.0123,
    "batch_size": 17,
    "testing_percentage": 31.5,
    "validation_percentage": 22.25,
    "sampling": "shuffled",
    "l2": 1e-05,
    "examples_per_class": 9,
    "classes": ("teapot", "ant"),
    "seed": 7,
    "eval_every": 3,
    "patience": 4,
    "head": "cosine",
    "hidden": (5, 4),
    "activation": "tanh",
    "dropout": 0.25,
    "normalise": "l2",
    "views": 2,
    "balance": "prior",
    "prior": "natural",
    "tau": 0.75,
}
"""Of every training setting a value that is not the usual one."""

LAYERED = ("head", "hidden", "activation", "dropout", "normalise")
"""Those of heads of other makes than one softmax layer."""


class SpecBackbone:
    """Random projections of a thumbnail; each setting of the backbone gives other ones."""

    width = 16
    device = "cpu:0"

    any_batch_size = False
    batches_at_once = 1

    def __init__(self, spec: BackboneSpec) -> None:
        side = spec.input_size or 40
        self.input_size = (side, side)
        told = repr(sorted(spec.identity().items()))
        seed = int.from_bytes(hashlib.blake2b(told.encode(), digest_size=4).digest(), "big")
        generator = np.random.default_rng(seed)
        self._projection = generator.normal(size=(4 * 4 * 3, self.width)).astype(np.float32)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        count, block = len(images), self.input_size[0] // 4
        blocks = images[:, : 4 * block, : 4 * block].reshape(count, 4, block, 4, block, 3)
        means = blocks.mean(axis=(2, 4)).reshape(count, -1)
        found: NDArray[np.float32] = np.maximum((means / 20 - 5.6) @ self._projection, 0)
        return found.astype(np.float32)


def stock_top(spec: BackboneSpec, n_classes: int, top: Path | None) -> SourceTop:
    """The classifier of the fake backbone: another one with each file."""
    generator = np.random.default_rng(len(top.read_bytes()) if top else 0)
    weights = generator.normal(size=(SpecBackbone.width, n_classes)).astype(np.float32)
    return SourceTop(weights, np.zeros(n_classes, np.float32))


def draw(path: Path, colour: tuple[int, ...], generator: np.random.Generator) -> None:
    """A photo of much noise, so that heads make mistakes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = generator.integers(-60, 60, (6, 8, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).resize((48, 36), Image.Resampling.NEAREST).save(path)


def draw_folder(root: Path, classes: Mapping[str, tuple[int, ...]], count: int, seed: int) -> Path:
    generator = np.random.default_rng(seed)
    for name, colour in classes.items():
        for number in range(count):
            draw(root / name / f"{number:02}.png", colour, generator)
    return root


@dataclass(frozen=True)
class Lab:
    """A workspace and photos, of names that a shell has to be told carefully."""

    root: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root / 'a work\'s "space"')

    @property
    def photos(self) -> Path:
        folder = self.root / "-it's $HOME β"
        return folder if folder.is_dir() else draw_folder(folder, CLASSES, 20, seed=1)

    @property
    def uneven(self) -> Path:
        """Photos of which the first class has few."""
        first, *others = CLASSES
        photos = draw_folder(self.root / "uneven", {first: CLASSES[first]}, 6, seed=3)
        return draw_folder(photos, {name: CLASSES[name] for name in others}, 16, seed=4)

    @property
    def more(self) -> Path:
        """Photos of a class that no run knows yet."""
        folder = self.root / "more photos"
        if not folder.is_dir():
            draw_folder(folder, {"wasp": (190, 90, 60), "bug": (60, 90, 190)}, 6, seed=2)
        return folder

    def fill(self, image_dir: Path | None = None, **changes: Any) -> None:
        request = BottleneckRequest(image_dir or self.photos, SMALL_SPEC)
        fill_cache(replace(request, **changes), self.workspace)

    def train(self, name: str, config: TrainingConfig = SHORT, **options: Any) -> str:
        return train_run(TrainRequest(config, name, **options), self.workspace).run.name

    def grow(self, class_name: str, *photos: Path, **options: Any) -> str:
        request = AddClassRequest(class_name, photos, **options)
        return add_class(request, self.workspace).run.name

    def calibrate(self, name: str) -> str:
        return calibrate(name, self.workspace).run.name

    def remove(self, name: str) -> None:
        RunStore(self.workspace.runs_dir).remove(name)
