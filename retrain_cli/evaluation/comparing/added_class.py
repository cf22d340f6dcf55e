"""Figures of a class that was added to a head: how well it is found, what it cost the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.intervals import Estimate, share_estimate


@dataclass(frozen=True)
class NewClassFigures:
    """How well a new class is found.

    Attributes:
        ranks: rank of the class for each photo of it, 1 for the best.
        n_classes: classes of the head.
    """

    ranks: tuple[int, ...]
    n_classes: int

    def top(self, k: int) -> Estimate | None:
        """Share of its photos with the class among the k best; None where that means nothing."""
        if k >= self.n_classes:
            return None
        return share_estimate(sum(rank <= k for rank in self.ranks), len(self.ranks))

    @property
    def mean_rank(self) -> float:
        """Mean rank; 1 is the best."""
        return float(np.mean(self.ranks))

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        shares = {f"top{k}": self.top(k) for k in (1, 5)}
        return {
            "images": len(self.ranks),
            "ranks": list(self.ranks),
            "mean_rank": self.mean_rank,
            **{name: share and share.to_dict() for name, share in shares.items()},
        }


@dataclass(frozen=True)
class KnownCost:
    """What the known classes lost on the same photos.

    Attributes:
        images: photos of known classes.
        lost: those that were right before and are wrong now.
        gained: those that were wrong before and are right now.
        right_before: those that were right before.
    """

    images: int
    lost: int
    gained: int
    right_before: int

    @classmethod
    def between(cls, before: NDArray[np.integer], after: NDArray[np.integer]) -> KnownCost | None:
        """Compare ranks of the true classes, `(n_photos,)` each; None without photos."""
        if not len(before):
            return None
        was, now = before == 1, after == 1
        lost, gained = int((was & ~now).sum()), int((now & ~was).sum())
        return cls(len(before), lost, gained, int(was.sum()))

    @property
    def top1_before(self) -> float:
        """Top-1 of the known classes without the new one."""
        return self.right_before / self.images

    @property
    def top1_after(self) -> float:
        """Top-1 of the known classes beside the new one."""
        return (self.right_before - self.lost + self.gained) / self.images

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "images": self.images,
            "top1_before": self.top1_before,
            "top1_after": self.top1_after,
            "lost": self.lost,
            "gained": self.gained,
        }
