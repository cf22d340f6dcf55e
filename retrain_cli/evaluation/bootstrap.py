"""The bootstrap, for figures whose interval has no closed form.

B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1979. Drawing
n images with replacement gives counts that follow a multinomial distribution, so counts are drawn
and no image is touched. Equal counts give equal intervals: the seed is fixed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.intervals import Estimate

N_RESAMPLES = 1000

_CHUNK_VALUES = 2_000_000
_SEED = 0xB007


def resampled_counts(counts: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Counts of 1,000 resamples, some at a time so that memory stays small.

    Args:
        counts: `(n_kinds,)`, how many images are of each kind; at least one in all.

    Yields:
        `(n_samples, n_kinds) int64`; the rows of all pieces are 1,000.
    """
    generator = np.random.default_rng(_SEED)
    total = int(counts.sum())
    size = max(1, _CHUNK_VALUES // len(counts))
    for start in range(0, N_RESAMPLES, size):
        rows = min(size, N_RESAMPLES - start)
        yield generator.multinomial(total, counts / total, rows)


def percentile_estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    """A value with the 2.5% and 97.5% percentiles of its resamples."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(value, min(value, float(low)), max(value, float(high)))
