"""One heatmap: how much each place of a photo speaks for a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["cam", "layercam", "fused", "occlusion"]


@dataclass(frozen=True, eq=False)
class Heatmap:
    """The evidence for a class, over a grid of equal fields that fills the network's input.

    Attributes:
        label: the class.
        score: its probability, 0 to 1.
        grid: `(rows, columns) float64`; of `cam` the mean of all grids of a class and the bias add
            up to the logit.
        against: with a contrast, the class that the evidence is against; else empty.
        layer: the layer whose map it is; empty where it is the last one, or none.
        logit: what the head gives the class; with a contrast the difference of both.
        bias: the part of it that no place stands for; None where places do not add up.
    """

    label: str
    score: float
    grid: NDArray[np.float64]
    against: str = ""
    layer: str = ""
    logit: float = 0.0
    bias: float | None = None

    @property
    def is_signed(self) -> bool:
        """Whether what speaks against is shown, too."""
        return bool(self.against)

    @property
    def shares(self) -> NDArray[np.float64]:
        """What each field has of all that speaks for the class; below 0 what speaks against it.

        Those above 0 add up to 1, unless nothing speaks for it. Of a contrast it is what each has
        of all that speaks for either class.
        """
        both = float(np.abs(self.grid).sum())
        total = both if self.is_signed else float(np.maximum(self.grid, 0).sum()) or both
        shares: NDArray[np.float64] = self.grid / total if total else np.zeros_like(self.grid)
        return shares

    @property
    def largest(self) -> float:
        """The share at the end of the colours: the largest of a field, of either sign."""
        shares = self.shares
        return float((np.abs(shares) if self.is_signed else np.maximum(shares, 0)).max())

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        found: dict[str, Any] = {"label": self.label, "score": self.score, "logit": self.logit}
        if self.against:
            found["against"] = self.against
        if self.bias is not None:
            found["bias"] = self.bias
        if self.layer:
            found["layer"] = self.layer
        return found | {"grid": [[float(f"{value:.7g}") for value in row] for row in self.grid]}
