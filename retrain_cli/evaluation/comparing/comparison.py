"""Two heads on the images that both were tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.origins import ClassOrigin, Origin
from retrain_cli.evaluation.comparing.paired import Outcomes, class_outcomes, holm, macro_difference
from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.predictions import Predictions

Verdict = Literal["better", "worse", "within chance"]

SIGNIFICANCE = 0.05
_KS = (1, 5)


@dataclass(frozen=True, eq=False)
class CommonImages:
    """The images to compare on, row by row in both runs' predictions.

    Attributes:
        first: what the first head said, and its class names.
        second: the same of the second.
        rows: `(n_images, 2) int64`, each image's row in both.
        origins: origin of each class, in the order of the first run's classes.
    """

    first: Predictions
    first_names: Sequence[str]
    second: Predictions
    second_names: Sequence[str]
    rows: NDArray[np.int64]
    origins: Sequence[ClassOrigin]

    @property
    def labels(self) -> NDArray[np.int32]:
        """`(n_images,)` true classes, by the first run's numbers."""
        labels: NDArray[np.int32] = self.first.images.labels[self.rows[:, 0]]
        return labels

    def right(self, k: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Whether each head has the true class among its k best."""
        ranks = (self.first.rank[self.rows[:, 0]], self.second.rank[self.rows[:, 1]])
        return ranks[0] <= k, ranks[1] <= k


@dataclass(frozen=True)
class PairedFigure:
    """One figure of both heads, from 0 to 1.

    Attributes:
        name: such as `INT top-1`.
        n_images: on how many common images.
        first: of the first head.
        second: of the second.
        difference: second minus first, with its 95% interval.
        p_value: McNemar's exact test; None for means over classes, which it cannot test.
    """

    name: str
    n_images: int
    first: float
    second: float
    difference: Estimate
    p_value: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "difference": self.difference.to_dict()}


@dataclass(frozen=True)
class ClassChange:
    """A class on which the heads differ.

    Attributes:
        class_name: its name.
        origin: INT, EXT or None.
        n_images: its common images.
        first: share of them that the first head gets right.
        second: the same of the second.
        gained: images that only the second gets right.
        lost: images that only the first gets right.
        p_value: McNemar's exact test, allowing for the number of classes (Holm).
    """

    class_name: str
    origin: Origin | None
    n_images: int
    first: float
    second: float
    gained: int
    lost: int
    p_value: float

    @property
    def verdict(self) -> Verdict:
        """Better or worse only where chance would hardly do that."""
        if self.p_value >= SIGNIFICANCE:
            return "within chance"
        return "better" if self.gained > self.lost else "worse"

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {**vars(self), "verdict": self.verdict}


@dataclass(frozen=True)
class Flip:
    """A common image that exactly one of the heads gets right.

    Attributes:
        path: as the second run knows it, relative to the image folder.
        true: its class.
        first: the first head's answer.
        second: the second head's answer.
        change: gained or lost, from first to second.
    """

    path: str
    true: str
    first: str
    second: str
    change: Literal["gained", "lost"]


def paired_figures(images: CommonImages) -> tuple[PairedFigure, ...]:
    """Top-1 and top-5 over all images, then the means over all, the INT and the EXT classes."""
    figures: list[PairedFigure] = []
    labels = images.labels
    groups = _groups(images)
    fewest = min(images.first.n_classes, images.second.n_classes)
    for k in (k for k in _KS if k < fewest):
        first, second = images.right(k)
        outcomes = Outcomes.count(first, second)
        difference = outcomes.difference
        if difference is None:
            continue
        shares = (float(first.mean()), float(second.mean()))
        name, n = f"top-{k}", len(labels)
        figures.append(PairedFigure(name, n, *shares, difference, outcomes.p_value))
        for group, chosen in groups.items():
            figures += _macro(f"{group} top-{k}", first[chosen], second[chosen], labels[chosen])
    return tuple(figures)


def _groups(images: CommonImages) -> dict[str, NDArray[np.bool_]]:
    origins = np.array([origin.origin or "" for origin in images.origins])[images.labels]
    every = np.ones(len(origins), bool)
    return {"macro": every, "INT": origins == "INT", "EXT": origins == "EXT"}


def _macro(
    name: str, first: NDArray[np.bool_], second: NDArray[np.bool_], labels: NDArray[np.int32]
) -> list[PairedFigure]:
    difference = macro_difference(first, second, labels)
    if difference is None:
        return []
    n = np.maximum(np.bincount(labels), 1)
    seen = np.unique(labels)
    means = [float((np.bincount(labels, right) / n)[seen].mean()) for right in (first, second)]
    return [PairedFigure(name, len(labels), means[0], means[1], difference, None)]


def class_changes(images: CommonImages) -> tuple[ClassChange, ...]:
    """The classes on which the heads differ, the surest changes first."""
    first, second = images.right(1)
    labels = images.labels
    outcomes = class_outcomes(first, second, labels)
    changed = [index for index, one in outcomes.items() if one.lost or one.gained]
    # All classes with images were looked at, those without a difference too (their p is 1).
    n_tests = len(outcomes)
    p_values = [outcomes[index].p_value for index in changed]
    adjusted = holm([*p_values, *[1.0] * (n_tests - len(changed))])
    changes = [
        _class_change(images.origins[index], outcomes[index], p)
        for index, p in zip(changed, adjusted, strict=False)
    ]
    return tuple(sorted(changes, key=_surest_first))


def _class_change(origin: ClassOrigin, outcomes: Outcomes, p_value: float) -> ClassChange:
    n = outcomes.total
    return ClassChange(
        origin.class_name,
        origin.origin,
        n,
        (outcomes.both + outcomes.lost) / n,
        (outcomes.both + outcomes.gained) / n,
        outcomes.gained,
        outcomes.lost,
        p_value,
    )


def _surest_first(change: ClassChange) -> tuple[float, int, str]:
    return change.p_value, -abs(change.gained - change.lost), change.class_name


def flips(images: CommonImages) -> tuple[Flip, ...]:
    """The images that exactly one head gets right: the lost ones first, then by path."""
    first, second = images.right(1)
    made = []
    for place in np.flatnonzero(first != second).tolist():
        one, other = images.rows[place].tolist()
        made.append(
            Flip(
                images.second.images.paths[other],
                images.first_names[images.first.images.labels[one]],
                images.first_names[images.first.top_classes[one, 0]],
                images.second_names[images.second.top_classes[other, 0]],
                "lost" if first[place] else "gained",
            )
        )
    return tuple(sorted(made, key=lambda flip: (flip.change == "gained", flip.path)))
