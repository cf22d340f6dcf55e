"""Do all engines of Keras give the same? Vectors, a head and fine-tuning on each that is installed.

The sample photos go through the network of EfficientNet-Lite0, whose weights are a package, and
through Inception v3 with random weights, in float32. Each engine runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import retrain_cli as rt
from benchmarks.fresh import run
from retrain_cli.errors import ImageError
from retrain_cli.images.decode import Pixels, decode_image

ENGINES = ("tensorflow", "jax", "torch")
SAMPLES = Path(__file__).parents[1] / "sample_images"
_PHOTOS = 64
_NETWORKS = {"efficientnet_lite0": "imagenet", "inception_v3": "random"}


@dataclass(frozen=True)
class EngineRun:
    """What one engine did.

    Attributes:
        engine: its name.
        device: where it computed.
        difference: largest difference of a number of a vector from the first engine's, in units of
            the largest number there; by network.
        top1: of the head on the test photos.
        tuned_top1: of the network with its last block fine-tuned.
        seconds: what each step took, with its start.
    """

    engine: str
    device: str
    difference: dict[str, float]
    top1: float
    tuned_top1: float
    seconds: dict[str, float]


def measure(device: str, samples: Path = SAMPLES) -> list[EngineRun]:
    """Run every engine that is installed."""
    runs: list[EngineRun] = []
    first: dict[str, NDArray[np.float32]] = {}
    for engine in ENGINES:
        if find_spec(engine) is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            facts, vectors = _measure(engine, device, samples, Path(folder))
        first = first or vectors
        runs.append(EngineRun(engine, difference=_differences(first, vectors), **facts))
    return runs


def _differences(
    first: dict[str, NDArray[np.float32]], vectors: dict[str, NDArray[np.float32]]
) -> dict[str, float]:
    return {
        name: float(np.abs(vectors[name] - own).max() / np.abs(own).max())
        for name, own in first.items()
    }


def _measure(
    engine: str, device: str, samples: Path, folder: Path
) -> tuple[dict[str, Any], dict[str, NDArray[np.float32]]]:
    seconds: dict[str, float] = {}

    environment = {**os.environ, "KERAS_BACKEND": engine}

    def timed(step: str, *command: str) -> str:
        done = run([sys.executable, "-m", *command], environment=environment)
        if done.code:
            raise RuntimeError(f"the step {step} on {engine} failed")
        seconds[step] = round(done.seconds, 1)
        return done.output

    workspace = str(folder / "work")

    def retrain(*words: str) -> Any:
        told = timed(words[0], "retrain_cli", "--workspace", workspace, *words, "--json")
        return json.loads(told)

    file = str(folder / "vectors.npz")
    timed("vectors", "benchmarks.engines", str(samples), file, "--device", device)
    with np.load(file) as found:
        vectors = {name: found[name] for name in _NETWORKS}
        used = str(found["device"])
    on = ("--device", device)
    retrain(
        "bottlenecks", str(samples), "--backbone", "efficientnet_lite0", "--runtime", "keras", *on
    )
    retrain("train", "--steps", "500")
    top1 = retrain("eval")["top"][0]["overall"]["value"]
    retrain("finetune", "--trainable", "last:1", "--epochs", "3", *on)
    tuned = retrain("eval")["top"][0]["overall"]["value"]
    return {"device": used, "top1": top1, "tuned_top1": tuned, "seconds": seconds}, vectors


def write_vectors(samples: Path, target: Path, device: str) -> None:
    """Vectors of the sample photos by the engine that KERAS_BACKEND names, in float32."""
    photos = [photo.read_bytes() for photo in sorted(samples.glob("*/*.jpg"))[:_PHOTOS]]
    arrays: dict[str, Any] = {}
    for name, weights in _NETWORKS.items():
        spec = rt.BackboneSpec(name=name, weights=weights, precision="float32", runtime="keras")
        backbone = rt.load_backbone(spec, device)
        size = backbone.input_size
        images = np.stack(list(_good_ones(photos, size)))
        arrays[name], arrays["device"] = backbone(images), np.array(backbone.device)
    np.savez(target, **arrays)


def _good_ones(photos: Iterable[bytes], size: tuple[int, int]) -> Iterator[Pixels]:
    for content in photos:
        with suppress(ImageError):  # one of the samples is damaged on purpose
            yield decode_image(content, size=size)


def main() -> None:
    """The part that runs in a process of its own."""
    parser = argparse.ArgumentParser(description=write_vectors.__doc__)
    parser.add_argument("samples", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--device", default="auto")
    chosen = parser.parse_args()
    write_vectors(chosen.samples, chosen.target, chosen.device)


if __name__ == "__main__":
    main()
