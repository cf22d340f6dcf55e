"""Learning curves as inverse power laws: error(n) = a n^-b + c.

R. L. Figueroa, Q. Zeng-Treitler, S. Kandula and L. H. Ngo, "Predicting sample size required for
classification performance", BMC Medical Informatics and Decision Making 12:8, 2012. J. Hestness et
al., "Deep learning scaling is predictable, empirically", arXiv:1712.00409, 2017.

For a given b the law is linear in a and c, so the best of each is known in closed form; b is
searched on a grid. That fits thousands of curves at once, which the bootstrap needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_SIZES = 2
_FEWEST_FOR_FLOOR = 4  # with fewer points a floor cannot be told from a slow decline
_EXPONENTS = np.geomspace(0.05, 3.0, 200)
_LEAST_VARIANCE = 0.01  # of a share near 0 or 1, so that one lucky point does not decide alone


@dataclass(frozen=True, eq=False)
class PowerLaws:
    """Many fitted laws.

    Attributes:
        a: `(n_curves,)` error at one image, less the floor.
        b: `(n_curves,)` how fast it declines.
        c: `(n_curves,)` the floor that more images do not get below.
    """

    a: Array
    b: Array
    c: Array

    @classmethod
    def fit(cls, n: Array, errors: Array) -> PowerLaws:
        """Weighted least squares with a, c >= 0; the weights are those of binomial shares.

        Args:
            n: `(n_curves, n_sizes)` training images, at least two different ones.
            errors: `(n_curves, n_sizes)` shares of wrong answers, from 0 to 1.
        """
        weights = 1 / np.maximum(errors * (1 - errors), _LEAST_VARIANCE)
        has_floor = n.shape[1] >= _FEWEST_FOR_FLOOR
        fits = [_linear_fit(n**-b, errors, weights, has_floor) for b in _EXPONENTS]
        misfit = np.array([fit[2] for fit in fits])
        best = misfit.argmin(axis=0)
        curves = np.arange(len(n))
        a, c = (np.array([fit[part] for fit in fits])[best, curves] for part in (0, 1))
        return cls(a, _EXPONENTS[best], c)

    def errors_at(self, n: Array) -> Array:
        """Share of wrong answers with n images, one number for each curve or one for all."""
        errors: Array = np.clip(self.a * np.asarray(n, float) ** -self.b + self.c, 0, 1)
        return errors

    def images_for(self, error: float) -> Array:
        """Images that bring the error down to this, `(n_curves,)`; infinite where none does."""
        room = error - self.c
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            needed = (self.a / room) ** (1 / self.b)
        return np.where(self.a <= 0, np.where(room >= 0, 1.0, np.inf), _above(room, needed))


def _above(room: Array, needed: Array) -> Array:
    return np.where(room > 0, np.maximum(needed, 1.0), np.inf)


def _linear_fit(
    u: Array, errors: Array, weights: Array, has_floor: bool
) -> tuple[Array, Array, Array]:
    """The a and c >= 0 that fit `a u + c` best, and their weighted sum of squares, per curve."""
    sums = [(weights * part).sum(axis=1) for part in (1, u, u * u, errors, u * errors)]
    one, s_u, s_uu, s_e, s_ue = sums
    alone = s_ue / s_uu
    if has_floor:
        determinant = one * s_uu - s_u**2
        a = (one * s_ue - s_u * s_e) / determinant
        c = (s_uu * s_e - s_u * s_ue) / determinant
        a, c = np.where(c < 0, alone, a), np.maximum(c, 0)
        flat = a < 0
        a, c = np.where(flat, 0, a), np.where(flat, s_e / one, c)
    else:
        a, c = alone, np.zeros_like(alone)
    misfit = (weights * (a[:, None] * u + c[:, None] - errors) ** 2).sum(axis=1)
    return a, c, misfit
