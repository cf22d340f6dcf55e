"""The few figures that stand for a whole evaluation, in lists of runs and over folds."""

from __future__ import annotations

from retrain_cli.evaluation.intervals import Estimate
from retrain_cli.evaluation.result import EvalResult

HEADLINES = ("top1", "top5", "int_top1", "ext_top1", "int_top5", "ext_top5")


def headline_figures(result: EvalResult) -> dict[str, float | int | None]:
    """The number of images, and each of `HEADLINES`; None where one is not defined.

    Args:
        result: an evaluation at k = 1 and 5.
    """
    top1, top5 = result.top
    values = (
        top1.overall,
        top5.overall,
        top1.int_macro,
        top1.ext_macro,
        top5.int_macro,
        top5.ext_macro,
    )
    shares = (_value(estimate) for estimate in values)
    return {"images": result.n_images, **dict(zip(HEADLINES, shares, strict=True))}


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value
