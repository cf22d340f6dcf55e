"""A run asked about photos and their views: the mean of its scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import WorkspaceError
from retrain_cli.evaluation.averaging import AveragingHead
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.images.distortions import USUAL, Distortion
from retrain_cli.runs.run import Run
from retrain_cli.workflows.augmentation.cached_views import read_views
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.run_scores import cached_bottlenecks
from retrain_cli.workspace import Workspace

_AT_ONCE = 2_000
"""Photos whose vectors are in memory together."""


def distortion_of(run: Run, workspace: Workspace) -> Distortion:
    """How views of photos differ that a run is asked about.

    Those that it was trained on, else those that `bottlenecks` was last asked for, else the usual.
    """
    taught, _ = run.provenance.views
    if taught:
        return Distortion.parse(taught)
    try:
        used = LastUsed.load(workspace).distortion
    except WorkspaceError:
        used = ""
    return Distortion.parse(used) if used else USUAL


def predict_averaged(
    run: Run, rows: NDArray[np.int64], n_views: int, workspace: Workspace
) -> Predictions:
    """Predictions of some of a run's images from the mean over each photo and its cached views.

    Args:
        run: the run.
        rows: which of its images; all others are left blank.
        n_views: how many views beside the plain photo.
        workspace: where its bottlenecks and views are.

    Raises:
        RunError, CacheError: some of them are not cached.
    """
    views = (distortion_of(run, workspace), n_views)
    head = AveragingHead(run.head, n_views)
    result = Predictions.blank(run.predictions.images, head.n_classes)
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        plain = cached_bottlenecks(run, some, workspace)
        n_images, width = plain.shape
        vectors = np.empty((1 + n_views, n_images, width), np.float32)
        vectors[0] = plain
        digests = [row.tobytes() for row in run.predictions.images.digest[some]]
        read_views(digests, run.info.cache, views, workspace, vectors.reshape(-1, width))
        in_a_row = vectors.transpose(1, 0, 2).reshape(n_images, -1)
        result.fill(head, in_a_row, np.arange(n_images), some)
    return result
