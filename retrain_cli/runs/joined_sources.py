"""How the source classes of a backbone were joined to a head, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from retrain_cli.checks import check_types
from retrain_cli.evaluation.intervals import Estimate


@dataclass(frozen=True)
class JoinedSources:
    """What `train --keep-source-classes` did beside training.

    Attributes:
        classes_kept: source classes that are classes of their own now.
        classes_merged: source classes that a class of the user's stands for.
        scale: factor that the user's logits were brought to the source classes' scale with.
        offset: added after it.
        calibrated_on: what these two were fitted to.
        test_images: the user's test photos that measured both heads.
        own_top1_before: top-1 on these of the user's head alone; None without test photos.
        own_top1_after: the same of the joined head.
        source_images: test photos of source classes that the new ones have never seen; None where
            there are none.
        source_top1_before: top-1 on these of the backbone's own classifier alone.
        source_top1_after: the same of the joined head.
    """

    classes_kept: int
    classes_merged: int
    scale: float
    offset: float
    calibrated_on: str
    test_images: int
    own_top1_before: Estimate | None
    own_top1_after: Estimate | None
    source_images: int | None = None
    source_top1_before: Estimate | None = None
    source_top1_after: Estimate | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; without the source photos where there are none."""
        values = {
            field.name: value.to_dict() if isinstance(value, Estimate) else value
            for field in fields(self)
            for value in (getattr(self, field.name),)
        }
        if self.source_images is not None:
            return values
        return {name: value for name, value in values.items() if not name.startswith("source_")}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> JoinedSources:
        """The inverse of `to_dict`.

        Raises:
            TypeError, KeyError: something is missing, not known or of the wrong kind.
        """
        given = dict(values)
        for name, value in given.items():
            if isinstance(value, Mapping):
                given[name] = Estimate(value["value"], value["low"], value["high"])
                check_types(given[name])
        joined = cls(**given)
        check_types(joined)
        return joined
