"""95% confidence intervals of accuracies.

Wilson's score interval (E. B. Wilson, "Probable inference, the law of succession, and statistical
inference", JASA 22, 1927) keeps within [0, 1] and behaves with few images and at 0% and 100%, where
the normal approximation does not. For a mean of per-class accuracies it takes the effective sample
size of E. L. Korn and B. I. Graubard ("Confidence intervals for proportions with small expected
number of positive counts estimated from survey data", Survey Methodology 24, 1998).

With one to three wrong answers it ends too soon: where the truth is 99.8% of 86, it holds it in 84%
of cases. A share of photos has the bound of L. D. Brown, T. T. Cai and A. DasGupta ("Interval
estimation for a binomial proportion", Statistical Science 16, 2001) there, which makes it 92% at
the worst from five photos on, whatever the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054  # 97.5% quantile of the standard normal distribution

_POISSON = (0.05129329438755, 0.35536151069866, 0.81769144716395)
"""Mean of a Poisson distribution that gives 1, 2, 3 or more in 5% of cases."""

_SMALL = 50
"""Up to so many photos three are not few any more, say Brown, Cai and DasGupta."""


@dataclass(frozen=True)
class Estimate:
    """A measured share with its 95% confidence interval, each from 0 to 1."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """As JSON values."""
        return {"value": self.value, "low": self.low, "high": self.high}


def wilson(share: float, n: float) -> Estimate:
    """Wilson's interval of a share seen in n trials; n need not be whole but is above 0."""
    spread = Z * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    centre, scale = share + Z**2 / (2 * n), 1 + Z**2 / n
    # Rounding may move a bound just past the share when it is 0 or 1.
    low = min(share, max(0.0, (centre - spread) / scale))
    return Estimate(share, low, max(share, min(1.0, (centre + spread) / scale)))


def share_estimate(hits: int, n: int) -> Estimate | None:
    """Share of hits among n images; None without images.

    Wilson's interval; on the side of few hits, or of few misses, it goes as far as the 5% bound of
    a Poisson distribution.
    """
    if not n:
        return None
    made = wilson(hits / n, n)
    low, high = (_fewest_expected(few, n) / n for few in (hits, n - hits))
    return Estimate(made.value, min(made.low, low), max(made.high, 1 - high))


def _fewest_expected(seen: int, n: int) -> float:
    """How few are expected where so many are seen in 5% of cases; all of them where not few."""
    few = _POISSON[: 2 if n <= _SMALL else 3]
    return few[seen - 1] if 1 <= seen <= min(len(few), n / 2) else float(n)


def macro_estimate(hits: NDArray[np.int64], n: NDArray[np.int64]) -> Estimate | None:
    """Mean of the per-class shares, classes without images left out; None where none is left.

    With C classes, shares p_i of n_i images and mean p, the variance of the mean is
    `V = sum(q_i (1 - q_i) / n_i) / C^2`, and the interval is Wilson's for `p (1 - p) / V` images.
    The plain q_i = p_i is too sure of itself where classes have few images (one image is always
    all right or all wrong, and would have no variance): in simulations with 1 to 3 images a class
    its intervals hold the truth in 67% of cases, with 3 to 14 in 92%. So two images at the mean are
    added to each class, `q_i = (hits_i + 2 p) / (n_i + 2)`, which makes it 95% and 94%. Where V is
    0 all the same (p is 0 or 1), `C^2 / sum(1 / n_i)` images stand in, the size of a sample that
    would be as good if all classes were alike.

    Args:
        hits: `(n_classes,)` right answers per class.
        n: `(n_classes,)` images per class.
    """
    hits, n = hits[n > 0], n[n > 0]
    if not len(n):
        return None
    shares = hits / n
    mean = float(shares.mean())
    smoothed = (hits + 2 * mean) / (n + 2)
    variance = float((smoothed * (1 - smoothed) / n).sum()) / len(n) ** 2
    size = mean * (1 - mean) / variance if variance > 0 else len(n) ** 2 / float((1 / n).sum())
    return wilson(mean, size)


def student_half_width(values: NDArray[np.float64]) -> float:
    """Half of Student's 95% interval of a mean, `t(n - 1) s / sqrt(n)`, of at least two values."""
    from scipy.stats import t

    n = len(values)
    return float(t.ppf(0.975, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n)
