"""Curves as lines that a page can carry: few points, and no visible difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.curves.class_curves import Curves
from retrain_cli.evaluation.curves.rank_counts import RankCounts
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.reports.content import ClassCurves, CurveSection, Polyline

MOST_POINTS = 240  # of a curve; it is drawn less than 500 pixels wide
MOST_CLASSES = 100  # whose curves can be chosen, those of the lowest accuracy
_CLASS_POINTS = 80


def curve_section(curves: Curves, result: EvalResult) -> CurveSection:
    """The averages, and the curves of the classes that are worst."""
    defined = [row for row in result.classes if curves.classes[row.index].auc is not None]
    return CurveSection(
        tuple(line for line in (_micro(curves), _macro(curves)) if line is not None),
        tuple(
            _of_counts(row.class_name, curves.classes[row.index], _CLASS_POINTS)
            for row in defined[:MOST_CLASSES]
        ),
        len(defined),
    )


def _micro(curves: Curves) -> ClassCurves:
    return _of_counts("all answers (micro average)", curves.micro, MOST_POINTS)


def _macro(curves: Curves) -> ClassCurves | None:
    """None where no class has a curve."""
    mean = curves.macro_roc(MOST_POINTS)
    if mean is None:
        return None
    auc = None if curves.macro_auc is None else curves.macro_auc.value
    line = thinned(*mean, MOST_POINTS)
    precision = curves.macro_average_precision
    return ClassCurves("mean of the classes (macro)", auc, precision, line, None)


def _of_counts(name: str, counts: RankCounts, most: int) -> ClassCurves:
    return ClassCurves(
        name,
        counts.auc,
        counts.average_precision,
        thinned(*counts.roc(), most),
        thinned(*counts.precision_recall(), most),
    )


def thinned(x: NDArray[np.float64], y: NDArray[np.float64], most: int) -> Polyline:
    """At most so many points of a line, spread evenly along it, its ends among them.

    Args:
        x: `(n,)`, ascending.
        y: `(n,)`.
        most: at least 2.
    """
    if len(x) > most:
        length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
        places = np.searchsorted(length, np.linspace(0, length[-1], most))
        kept = np.unique(np.clip(np.concatenate([[0], places, [len(x) - 1]]), 0, len(x) - 1))
        x, y = x[kept], y[kept]
    return Polyline(np.round(x, 4).tolist(), np.round(y, 4).tolist())
