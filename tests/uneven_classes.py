"""Data whose classes differ in size."""

from __future__ import annotations

import numpy as np

from retrain_cli.heads.data import HeadData


def uneven(*sizes: int, n_views: int = 0, width: int = 4) -> HeadData:
    """Classes of these many training images, and two validation images of each."""
    counts = [size + 2 for size in sizes]
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), counts)
    generator = np.random.default_rng(3)
    rows = (1 + n_views) * len(labels)
    vectors = generator.normal(size=(rows, width)).astype(np.float32)
    vectors += 3 * np.tile(labels, 1 + n_views)[:, None]
    place = np.concatenate([np.arange(count) for count in counts])
    return HeadData(
        vectors[: len(labels)],
        labels,
        tuple(f"class {index}" for index in range(len(sizes))),
        np.flatnonzero(place >= 2),
        np.flatnonzero(place < 2),
        views=vectors if n_views else None,
    )
