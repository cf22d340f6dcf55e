"""Reading a cache into the matrix that training takes, against a plain file of the same numbers."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import synthetic
from benchmarks.timing import Comparison, compare
from retrain_cli.cache.store import BottleneckStore


def measure(images: int, repeats: int, width: int = synthetic.WIDTH) -> list[Comparison]:
    """Compare on `images` vectors; every row's checksum is tested, `np.load` tests nothing."""
    with tempfile.TemporaryDirectory() as folder:
        cache, plain = Path(folder, "cache.sqlite"), Path(folder, "plain.npy")
        synthetic.write_store(cache, images, width)
        digests = [synthetic.digest(row) for row in range(images)]

        def ours() -> np.ndarray:
            with BottleneckStore(cache) as store:
                return store.read(digests)

        np.save(plain, ours())
        name = f"reading {images:,} x {width} float32"
        reference = ("np.load of the same numbers", lambda: np.load(plain))
        return compare((name, ours), [reference], images, "vectors", repeats)
