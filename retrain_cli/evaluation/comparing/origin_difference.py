"""Are INT classes better than EXT ones, or is that the classes which happen to be here?

More photos of these classes cannot tell; the unit is the class. The difference of the two means of
per-class accuracies has B. L. Welch's interval ("The generalization of Student's problem when
several different population variances are involved", Biometrika 34, 1947). How often a difference
as large comes about where origin plays no part is counted by dealing INT and EXT out to the classes
at random (R. A. Fisher's permutation test).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.intervals import Estimate

N_DEALS = 9_999
_SEED = 0xDEA1
_CHUNK_VALUES = 2_000_000
_ROUNDING = 1e-9


@dataclass(frozen=True)
class OriginDifference:
    """How much better INT classes do than EXT classes.

    Attributes:
        difference: mean of the INT classes minus that of the EXT ones, -1 to 1, with its 95%
            interval over classes.
        p_value: share of random deals of the origins with a difference as large.
        n_int: INT classes.
        n_ext: EXT classes.
    """

    difference: Estimate
    p_value: float
    n_int: int
    n_ext: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "difference": self.difference.to_dict()}


def origin_difference(
    int_shares: NDArray[np.float64], ext_shares: NDArray[np.float64]
) -> OriginDifference | None:
    """Compare the accuracies of the INT and of the EXT classes.

    Args:
        int_shares: `(n_int,)` accuracy of each INT class, 0 to 1.
        ext_shares: `(n_ext,)` accuracy of each EXT class.

    Returns:
        The difference; None with fewer than two classes of a kind, or where all classes are alike,
        which tells nothing of others.
    """
    n_int, n_ext = len(int_shares), len(ext_shares)
    errors = [
        float(shares.var(ddof=1)) / len(shares)
        for shares in (int_shares, ext_shares)
        if len(shares) > 1
    ]
    if len(errors) < 2 or not sum(errors) > 0:
        return None
    value = float(int_shares.mean() - ext_shares.mean())
    half = _welch_half_width(errors, (n_int, n_ext))
    difference = Estimate(value, max(-1.0, value - half), min(1.0, value + half))
    p_value = _permutation_p(np.concatenate([int_shares, ext_shares]), n_int, value)
    return OriginDifference(difference, p_value, n_int, n_ext)


def _welch_half_width(errors: list[float], counts: tuple[int, int]) -> float:
    from scipy.stats import t

    total = sum(errors)
    freedom = total**2 / sum(
        error**2 / (count - 1) for error, count in zip(errors, counts, strict=True)
    )
    return float(t.ppf(0.975, freedom)) * math.sqrt(total)


def _permutation_p(shares: NDArray[np.float64], n_int: int, value: float) -> float:
    """Two-sided, of 9,999 random deals and the one that was seen."""
    generator = np.random.default_rng(_SEED)
    n, total, as_large, done = len(shares), float(shares.sum()), 1, 0
    while done < N_DEALS:
        rows = min(N_DEALS - done, max(1, _CHUNK_VALUES // n))
        dealt = generator.permuted(np.broadcast_to(shares, (rows, n)), axis=1)
        own = dealt[:, :n_int].sum(axis=1)
        differences = own / n_int - (total - own) / (n - n_int)
        as_large += int((np.abs(differences) >= abs(value) - _ROUNDING).sum())
        done += rows
    return as_large / (N_DEALS + 1)
