"""What a run keeps besides its head: figures of each split, and what it was made with."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from retrain_cli import __version__
from retrain_cli.datasets.origins import ClassOrigin
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.figures import headline_figures
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.evaluation.result import EvalResult


def _metrics(
    predictions: Predictions, split: Split, origins: list[ClassOrigin]
) -> dict[str, float | int | None] | None:
    """The few figures that lists of runs show; None for a split without images."""
    result = result_of(predictions, split, origins)
    return None if result is None else headline_figures(result)


def result_of(
    predictions: Predictions, split: Split, origins: list[ClassOrigin]
) -> EvalResult | None:
    """Every figure of a split; None for one without images."""
    counts = EvalCounts.from_predictions(predictions, split)
    if not counts.n_images.sum():
        return None
    return EvalResult.from_counts(counts, origins, split)


def metrics_by_split(predictions: Predictions, origins: list[ClassOrigin]) -> dict[str, Any]:
    """The figures that a run keeps, by split; None for a split without images."""
    return {split: _metrics(predictions, split, origins) for split in SPLITS}


def current_versions() -> dict[str, str]:
    """Versions of this package and of what it computes with."""
    versions = {"retrain": __version__, "python": platform.python_version()}
    for package in ("keras", "tensorflow", "jax", "torch", "numpy"):
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions
