"""Vectors and digests for tests of the cache."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.images.examine import content_digest

IDENTITY = {"name": "fake", "width": 8}


def digests(count: int) -> list[bytes]:
    return [content_digest(bytes([number % 256, number // 256])) for number in range(count)]


def vectors(count: int, width: int = 8) -> NDArray[np.float32]:
    return np.random.default_rng(count).normal(size=(count, width)).astype(np.float32)
