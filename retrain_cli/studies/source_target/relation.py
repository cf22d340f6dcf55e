"""Whether a figure has to do with another one: a line, its slope's interval, and a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.reports.charts import Series

FEWEST = 3
"""Points of a line that leave a degree of freedom."""
_PLACES = 50


@dataclass(frozen=True)
class Relation:
    """The regression line of y on x, by least squares.

    Attributes:
        n: points.
        slope: of the line.
        intercept: its value at 0.
        low: lower end of the slope's 95% interval, `slope -+ t(n - 2) * standard error`.
        high: upper end.
        p: of the two-sided test that the slope is 0.
        r: Pearson's correlation.
    """

    n: int
    slope: float
    intercept: float
    low: float
    high: float
    p: float
    r: float

    @classmethod
    def of(cls, x: Sequence[float], y: Sequence[float]) -> Relation | None:
        """Fit; None with fewer than three points, or where x does not vary."""
        from scipy.stats import linregress, t

        if len(x) < FEWEST or max(x) - min(x) <= 0:
            return None
        line = linregress(x, y)
        half = float(t.ppf(0.975, len(x) - 2)) * float(line.stderr)
        slope = float(line.slope)
        p = float(line.pvalue) if math.isfinite(line.pvalue) else 1.0  # where y does not vary
        r = float(line.rvalue) if math.isfinite(line.rvalue) else 0.0
        return cls(len(x), slope, float(line.intercept), slope - half, slope + half, p, r)

    @property
    def is_there(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "related": self.is_there}

    def sentence(self, figure: str, unit: float) -> str:
        """In words, with the change of y, a share, for a step of x.

        Args:
            figure: what x is.
            unit: the step.
        """
        steps = [100 * unit * value for value in (self.slope, self.low, self.high)]
        told = "{:+.1f} points for {} more (95%: {:+.1f} to {:+.1f}; p {})".format(
            steps[0], f"{unit:g}", steps[1], steps[2], _p(self.p)
        )
        if not self.is_there:
            return f"no relation of improvement and {figure} can be told: {told}"
        way = "more" if self.slope > 0 else "less"
        return f"the greater the {figure}, the {way} improvement: {told}"

    def series(self, label: str, x: Sequence[float], y: Sequence[float]) -> Series:
        """The line with the 95% band of the mean, to be drawn over the points."""
        places = np.linspace(min(x), max(x), _PLACES)
        line = self.intercept + self.slope * places
        half = self._half_band(np.asarray(x, float), np.asarray(y, float), places)
        return Series(
            label,
            places.tolist(),
            line.tolist(),
            (line - half).tolist(),
            (line + half).tolist(),
            points=False,
            of_before=True,
        )

    def _half_band(self, x: Any, y: Any, places: Any) -> Any:
        """`t(n - 2) s sqrt(1 / n + (place - mean)^2 / sum((x - mean)^2))`."""
        from scipy.stats import t

        rest = y - self.intercept - self.slope * x
        s = math.sqrt(float((rest**2).sum()) / (self.n - 2))
        spread = float(((x - x.mean()) ** 2).sum())
        return (
            float(t.ppf(0.975, self.n - 2))
            * s
            * np.sqrt(1 / self.n + (places - x.mean()) ** 2 / spread)
        )


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"= {value:.3f}"
