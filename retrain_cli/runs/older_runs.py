"""What runs of older versions did not note of how they were made, as far as their files tell it.

These versions noted neither folds nor the photos of `add-class`, and of the run that another one
came from only the name. The files beside `config.json` hold what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.datasets.splits import Split
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow
from retrain_cli.runs.making import Grown, Trained

FOLDS_KEY = "cross_validation"
"""Of a run's metrics: the figures of its folds."""


def trained_by(
    made: Trained, metrics: Mapping[str, Any], history: Sequence[HistoryRow], *, interrupted: bool
) -> Trained:
    """How `train` made a run, with its folds and the step at which it was interrupted."""
    folds = metrics.get(FOLDS_KEY) or {}
    stopped_at = history[-1].step if interrupted and history else None
    return replace(made, cv=folds.get("folds"), stopped_at=stopped_at)


def grown_by(made: Grown, predictions: Predictions) -> Grown:
    """How `add-class` made a run, with the photos of its last class."""
    images = predictions.images
    own = images.labels == predictions.n_classes - 1

    def paths(split: Split) -> tuple[Path, ...]:
        rows = predictions.rows(split)
        return tuple(Path(images.paths[row]) for row in rows[own[rows]].tolist())

    return replace(made, photos=paths("training"), test=paths("test"))


def was_calibrated(parent: Head, child: Head) -> bool:
    """Whether a class came to a calibrated head: the other columns are not as trained."""
    return not np.array_equal(parent.weights, child.weights[:, : parent.n_classes])
