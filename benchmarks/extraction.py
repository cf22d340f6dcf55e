"""Extraction end to end, from files to cache, against its ceiling and hand-written scripts.

References: (a) the raw forward pass of the same backbone, runtime and precision on a ready array;
the raw pass of TensorFlow in float32; (b) `image_dataset_from_directory` + `predict` + `np.save`;
(c) one image at a time and a text file per vector. The last three are TensorFlow in float32, what
people write by hand. Loading and compiling are in none of them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import retrain_cli as rt
from benchmarks.photos import gather_photos
from benchmarks.timing import Comparison, Contestant, compare_rates
from retrain_cli.backbones.loader import Backbone
from retrain_cli.backbones.runtimes.keras_model import KerasModelBackbone
from retrain_cli.engine import load_keras, load_tensorflow
from retrain_cli.extraction.readers import ReaderKind

BATCH = 32
REFERENCES = ("raw", "tensorflow", "dataset", "text")


@dataclass(frozen=True)
class ExtractionBench:
    """What to measure.

    Attributes:
        spec: the backbone; precision and runtime may be `auto`.
        photos: folder of photos; None makes them up.
        images: photos at most.
        slow_images: photos at most for the references that take long.
        batch: images a forward pass.
        references: which of `REFERENCES`.
        device: as in `retrain bottlenecks`.
        readers: threads, processes or auto.
    """

    spec: rt.BackboneSpec
    photos: Path | None = None
    images: int = 480
    slow_images: int = 96
    batch: int = BATCH
    references: tuple[str, ...] = REFERENCES
    device: str = "auto"
    readers: ReaderKind = "auto"


def measure(bench: ExtractionBench, repeats: int) -> list[Comparison]:
    """Compare extraction with the references, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        count = gather_photos(bench.photos, root / "photos", bench.images)
        few = gather_photos(root / "photos", root / "few", min(count, bench.slow_images))
        ours = OurExtraction(bench, root / "photos", root / "workspace")
        ours.run()  # converts and calibrates
        contestants = {
            "raw": lambda: raw_contestant("its own raw pass", ours.backbone, bench.batch, count)
        }
        if set(bench.references) - {"raw"}:
            contestants |= _by_hand(bench, root / "few", few)
        chosen = [contestants[name]() for name in REFERENCES if name in bench.references]
        return compare_rates(Contestant(ours.label, ours.run, count), chosen, "images", repeats)


class OurExtraction:
    """`retrain bottlenecks` on an empty cache; the network is converted and loaded once.

    Args:
        bench: the settings.
        photos: the photos.
        workspace: for the cache, and the network where it is converted.
        loaded: the network, where it is loaded already.
    """

    def __init__(
        self,
        bench: ExtractionBench,
        photos: Path,
        workspace: Path,
        loaded: Backbone | None = None,
    ) -> None:
        settings = rt.ExtractionSettings(bench.batch, device=bench.device, readers=bench.readers)
        self._request = rt.BottleneckRequest(photos, bench.spec, settings=settings)
        self._workspace = rt.Workspace(workspace)
        self._loaded = loaded
        self.label = ""

    @property
    def backbone(self) -> Backbone:
        """The network, once `run` has loaded it."""
        assert self._loaded is not None
        return self._loaded

    def run(self) -> None:
        """Empty the cache, and fill it."""
        for cache in self._workspace.root.rglob("*.sqlite*"):
            cache.unlink()
        summary = rt.fill_cache(self._request, self._workspace, load=self._load)
        assert not summary.bad, summary.bad
        spec = summary.used.backbone
        self.label = f"{spec.label()} on {summary.device}"

    def _load(self, spec: rt.BackboneSpec, device: str) -> Backbone:
        if self._loaded is None:
            self._loaded = rt.load_backbone(spec, device, self._workspace.models_dir)
        return self._loaded


def raw_pass(backbone: Backbone, batch: int, batches: int) -> None:
    """Forward passes on a ready array, as many side by side as the backbone likes best."""
    images = np.random.default_rng(0).integers(0, 256, (batch, *backbone.input_size, 3), np.uint8)
    with ThreadPoolExecutor(backbone.batches_at_once) as threads:
        list(threads.map(backbone, [images] * batches))


def raw_contestant(name: str, backbone: Backbone, batch: int, count: int) -> Contestant:
    """The raw pass on at least `count` images, in full batches."""
    batches = -(-count // batch)
    return Contestant(name, lambda: raw_pass(backbone, batch, batches), batches * batch)


def _by_hand(
    bench: ExtractionBench, photos: Path, count: int
) -> dict[str, Callable[[], Contestant]]:
    """The references on TensorFlow in float32."""
    spec = replace(bench.spec.resolve(), precision="float32", runtime="keras", model=None)
    backbone = rt.load_backbone(spec, "cpu")
    assert isinstance(backbone, KerasModelBackbone)
    model, target = backbone.model, photos.with_name("by_hand")
    target.mkdir()
    return {
        "tensorflow": lambda: raw_contestant(
            "raw pass, TensorFlow float32", backbone, bench.batch, count
        ),
        "dataset": lambda: Contestant(
            "image_dataset_from_directory + predict + np.save",
            lambda: _by_dataset(model, photos, bench.batch, target),
            count,
        ),
        "text": lambda: Contestant(
            "one image at a time, a text file per vector",
            lambda: _by_text(model, photos, target),
            count,
        ),
    }


def _by_dataset(model: Any, photos: Path, batch: int, target: Path) -> None:
    """What a careful user writes."""
    keras, tensorflow = load_keras(), load_tensorflow()
    size = model.input_shape[1:3]
    dataset = keras.utils.image_dataset_from_directory(
        photos, image_size=size, batch_size=batch, shuffle=False, verbose=False, labels=None
    )
    dataset = dataset.map(lambda images: tensorflow.cast(images, "uint8"))
    vectors = model.predict(dataset.prefetch(tensorflow.data.AUTOTUNE), verbose=0)
    np.save(target / "vectors.npy", vectors)


def _by_text(model: Any, photos: Path, target: Path) -> None:
    """What the first retrain script did: a forward pass and a file of decimals for each image."""
    utils = load_keras().utils
    size = model.input_shape[1:3]
    for path in sorted(photos.rglob("*.*")):
        image = utils.load_img(path, target_size=size, interpolation="bilinear")
        pixels = utils.img_to_array(image, dtype="uint8")[np.newaxis]
        vector = model.predict_on_batch(pixels)[0]
        (target / f"{path.name}.txt").write_text(",".join(map(str, vector)), encoding="utf-8")
