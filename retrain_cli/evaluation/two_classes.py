"""The 2x2 table of a head with two classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retrain_cli.datasets.class_names import find_name, listed
from retrain_cli.errors import ConfigError, setting
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.intervals import Estimate, share_estimate


@dataclass(frozen=True)
class TwoClassTable:
    """Counts of a two-class evaluation, seen from one of the classes.

    Attributes:
        positive: the class that is looked for.
        negative: the other one.
        tp: positive images that are found.
        fn: positive images that are missed.
        fp: negative images that are taken for positive.
        tn: negative images that are left alone.
    """

    positive: str
    negative: str
    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def sensitivity(self) -> Estimate | None:
        """Share of the positive images that are found; None without any."""
        return share_estimate(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> Estimate | None:
        """Share of the negative images that are left alone; None without any."""
        return share_estimate(self.tn, self.tn + self.fp)

    @property
    def positive_predictive_value(self) -> Estimate | None:
        """Share of right ones among the positive answers; None without any."""
        return share_estimate(self.tp, self.tp + self.fp)

    @property
    def negative_predictive_value(self) -> Estimate | None:
        """Share of right ones among the negative answers; None without any."""
        return share_estimate(self.tn, self.tn + self.fn)

    @property
    def shares(self) -> dict[str, Estimate | None]:
        """What follows from the counts, by name."""
        return {
            "sensitivity": self.sensitivity,
            "specificity": self.specificity,
            "positive_predictive_value": self.positive_predictive_value,
            "negative_predictive_value": self.negative_predictive_value,
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON values, null where not defined."""
        return vars(self) | {name: part and part.to_dict() for name, part in self.shares.items()}


def two_class_table(
    counts: EvalCounts, class_names: tuple[str, ...], positive: str | None = None
) -> TwoClassTable | None:
    """The table; None for a head with more than two classes.

    Args:
        counts: the counts.
        class_names: the class names by index.
        positive: the positive class; None for the second one, as in scikit-learn.

    Raises:
        ConfigError: `positive` is none of the two, or there are more than two classes.
    """
    known = None if positive is None else find_name(positive, class_names)
    if positive is not None and (len(class_names) != 2 or known is None):
        few = listed(class_names[:3]) + ("..." if len(class_names) > 3 else "")
        raise ConfigError(
            f"{setting('positive')} takes one of the classes of a run with two, not {positive!r} "
            f"of {len(class_names)} ({few})"
        )
    if len(class_names) != 2:
        return None
    chosen = 1 if known is None else class_names.index(known)
    other = 1 - chosen
    matrix = counts.confusion()
    return TwoClassTable(
        class_names[chosen],
        class_names[other],
        tp=int(matrix[chosen, chosen]),
        fn=int(matrix[chosen, other]),
        fp=int(matrix[other, chosen]),
        tn=int(matrix[other, other]),
    )
