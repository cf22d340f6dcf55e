"""All scores of a run's images: as saved, or else computed from the cached bottlenecks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrain_cli.cache.cache_files import cache_file
from retrain_cli.cache.store import open_to_read
from retrain_cli.errors import RunError
from retrain_cli.evaluation.predictions import chunks
from retrain_cli.evaluation.scores import AllScores, computed_scores, saved_scores
from retrain_cli.runs.run import Run
from retrain_cli.workspace import Workspace

_SMALLEST = float(np.finfo(np.float32).tiny)  # below, float32 has fewer digits, and then none


def scores_of(run: Run, rows: NDArray[np.int64], workspace: Workspace) -> AllScores:
    """Scores of some of a run's images for all classes.

    Runs with up to 100 classes have saved them; for others head and cache are needed.

    Raises:
        RetrainError: only the best scores were saved, and the cache does not hold the images.
    """
    saved = saved_scores(run.predictions, rows)
    if saved is not None:
        return saved
    return computed_scores(
        run.head, cached_bottlenecks(run, rows, workspace), run.predictions, rows
    )


def trained_logs_of(
    run: Run, rows: NDArray[np.int64], workspace: Workspace
) -> Iterator[NDArray[np.float32]]:
    """Log-probabilities of some of a run's images as trained, before any calibration.

    Saved scores serve where none of them is too small for float32; else head and cache do.

    Yields:
        `(some images, n_classes) float32`, in the order of the rows.

    Raises:
        RetrainError: neither is to be had.
    """
    predictions = run.trained_predictions
    saved = saved_scores(predictions, rows)
    if saved is not None and predictions.top_scores[rows].min(initial=1) >= _SMALLEST:
        yield from (np.log(scores) for scores in saved.pieces())
        return
    vectors = cached_bottlenecks(run, rows, workspace)
    for part in chunks(len(rows), max(predictions.n_classes, vectors.shape[1])):
        yield run.trained_head.log_probabilities(vectors[part])


def cached_bottlenecks(
    run: Run, rows: NDArray[np.int64], workspace: Workspace
) -> NDArray[np.float32]:
    """The bottlenecks of some of a run's images, `(n_rows, width) float32`.

    Raises:
        RunError: the cache that the run was trained on is not in this workspace.
        CacheError: it lacks some of the images.
    """
    path = cache_file(workspace, run.info.cache)
    if path is None:
        raise RunError(
            f"this needs the bottlenecks that run {run.name} was trained on, and "
            f"{workspace.cache_dir} does not hold them: `retrain bottlenecks` computes them again"
        )
    with open_to_read(path) as store:
        return store.read([row.tobytes() for row in run.predictions.images.digest[rows]])
