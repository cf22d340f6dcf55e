"""A warm run: everything is cached, nothing changed; wall time and peak memory of the command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import retrain_cli as rt

FOLDERS = 100


@dataclass(frozen=True)
class WarmRun:
    """What the second run over the same files took."""

    files: int
    seconds: float
    peak_megabytes: float


def measure(files: int) -> WarmRun:
    """Make `files` small photos, compute them once with a stand-in backbone, run again."""
    spec = rt.BackboneSpec(name="mini", weights="random", input_size=64)
    with tempfile.TemporaryDirectory() as folder:
        photos, workspace = Path(folder, "photos"), Path(folder, "workspace")
        _write_photos(photos, files)
        rt.fill_cache(
            rt.BottleneckRequest(photos, spec, settings=rt.ExtractionSettings(512)),
            rt.Workspace(workspace),
            load=lambda spec, device: _MeanColour(),
        )
        command = [sys.executable, "-m", "retrain_cli", "--workspace", str(workspace)]
        command += ["bottlenecks", str(photos), "--backbone", "mini", "--weights", "random"]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--input-size", "64", "--quiet"], stdout=subprocess.DEVNULL
        )
        _, _, usage = os.wait4(process.pid, 0)
        return WarmRun(files, time.perf_counter() - started, usage.ru_maxrss / 1024)


class _MeanColour:
    """Stands in for a network: the warm run must not need it anyway."""

    width = 512
    input_size = (64, 64)
    device = "cpu:0"

    def __call__(self, images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> np.ndarray:
        means = images.mean(axis=(1, 2))
        return np.tile(means, (1, -(-self.width // 3)))[:, : self.width].astype(np.float32)


def _write_photos(root: Path, files: int) -> None:
    generator = np.random.default_rng(0)
    for number in range(files):
        folder = root / f"class_{number % FOLDERS:03}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:06}.bmp")
