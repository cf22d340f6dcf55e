"""Extraction end to end, from files to cache, against the raw pass and a hand-written script."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import retrain_cli as rt
from benchmarks.timing import Comparison, compare
from retrain_cli.backbones.loader import Backbone
from retrain_cli.engine import load_keras
from retrain_cli.samples import write_sample_images

BATCH = 32


def measure(spec: rt.BackboneSpec, photos: Path | None, repeats: int) -> list[Comparison]:
    """Compare on `photos`, one sub-folder per class, or on the sample images."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if photos is None:
            photos = root / "photos"
            write_sample_images(photos)
            for broken in photos.rglob("*_broken.jpg"):
                broken.unlink()
        return _measure(spec, photos, root / "workspace", repeats)


def _measure(
    spec: rt.BackboneSpec, photos: Path, workspace: Path, repeats: int
) -> list[Comparison]:
    spec = spec.resolve().settled_on_keras()  # else each fresh workspace converts the network anew
    backbone = rt.load_backbone(spec)
    count = 0

    def ours() -> None:
        nonlocal count
        shutil.rmtree(workspace, ignore_errors=True)
        summary = rt.fill_cache(
            rt.BottleneckRequest(photos, spec, settings=rt.ExtractionSettings(BATCH)),
            rt.Workspace(workspace),
            load=lambda spec, device: backbone,
        )
        count = summary.computed

    ours()
    batch = np.random.default_rng(0).integers(0, 255, (BATCH, *backbone.input_size, 3), np.uint8)

    def raw_pass() -> None:
        for _ in range(-(-count // BATCH)):
            backbone(batch)

    references = [
        ("the raw forward pass on a ready array", raw_pass),
        (
            "image_dataset_from_directory + predict + np.save",
            lambda: _by_hand(photos, backbone, workspace.with_name("by_hand.npy")),
        ),
    ]
    name = f"extraction, {spec.label()}"
    return compare((name, ours), references, count, "images", repeats)


def _by_hand(photos: Path, backbone: Backbone, target: Path) -> None:
    """What a careful user writes; the network is the same one."""
    keras: Any = load_keras()
    dataset = keras.utils.image_dataset_from_directory(
        photos, image_size=backbone.input_size, batch_size=BATCH, shuffle=False, verbose=False
    )
    vectors = [backbone(images.numpy().astype(np.uint8)) for images, _ in dataset]
    np.save(target, np.concatenate(vectors))
