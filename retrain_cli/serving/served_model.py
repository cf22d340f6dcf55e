"""The model that a service answers with, and the one that takes its place."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import RetrainError
from retrain_cli.evaluation.ranking import top_k
from retrain_cli.runs.folder import finished
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.serving.photo_heatmaps import PhotoHeatmaps
from retrain_cli.serving.serve_request import ServeRequest
from retrain_cli.serving.training_photos import TrainingPhotos
from retrain_cli.workflows.label import Label, Labeller
from retrain_cli.workflows.portable.file_labeller import ModelOpener, open_labeller
from retrain_cli.workflows.portable.photo_classifier import PhotoClassifier
from retrain_cli.workspace import Workspace

Origin = tuple[str, int]
"""Where a model comes from, and when that was made: another one is another model."""


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model that is ready to answer.

    Attributes:
        name: in addresses.
        title: the run's name, or the file's.
        version: a whole number that grows from run to run: when it was made, in seconds.
        origin: where it comes from.
        classifier: what labels.
        photos: the training photos, where they are at hand.
        heatmaps: where it looks, where its network gives that.
        seconds: that loading took.
    """

    name: str
    title: str
    version: int
    origin: Origin
    classifier: PhotoClassifier
    photos: TrainingPhotos | None
    heatmaps: PhotoHeatmaps | None
    seconds: float

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label that a photo can get."""
        return self.classifier.labels

    def best(self, scores: NDArray[np.float32], most: int) -> list[Label]:
        """The labels of one photo, best first.

        Args:
            scores: `(n_classes,)`.
            most: how many.
        """
        rows = top_k(scores[np.newaxis], min(most, len(scores)))[0].tolist()
        return [Label(self.labels[row], float(scores[row])) for row in rows]


def origin_of(request: ServeRequest, workspace: Workspace) -> Origin:
    """What a model for this request would be made from now; cheap enough to ask every second.

    Raises:
        RetrainError: there is no such run or file.
    """
    path = request.model or request.bundle
    if path is not None:
        return str(path), _changed(path)
    run = _newest(request.run, workspace)
    return str(run.folder), finished(run.folder)


def _changed(path: Path) -> int:
    """When a file, or what is in a folder, changed last; 0 where it is not there."""
    files = [path, *path.rglob("*")] if path.is_dir() else [path]
    return max((one.stat().st_mtime_ns for one in files if one.exists()), default=0)


def _newest(name: str | None, workspace: Workspace) -> Run:
    """The newest run of that name, or whose name begins so."""
    store = RunStore(workspace.runs_dir)
    if name:
        meant = [run for run in store.list() if run.name.startswith(name)]
        if meant:
            return meant[0]
    return store.get(name)


def open_model(
    request: ServeRequest, workspace: Workspace, opener: ModelOpener = open_labeller
) -> ServedModel:
    """Load a model and let it compute once, so that no photo waits for that.

    Raises:
        RetrainError: it is not there, is damaged, or cannot be used here.
    """
    start = time.perf_counter()
    origin = origin_of(request, workspace)
    wanted = request.labelling
    if request.model is None and request.bundle is None and request.reload:
        wanted = replace(wanted, run=origin[0])  # of several, the newest
    photos = heatmaps = None
    with opener(wanted, workspace) as labeller:
        classifier = labeller.classifier()
        title, version = Path(origin[0]).stem, origin[1] // 10**9
        if isinstance(labeller, Labeller):
            title = title if request.bundle else labeller.run.name
            version = _made(labeller.run, version)
            heatmaps = PhotoHeatmaps.of(labeller.run, workspace, request.photo_timeout)
            if request.similar and request.bundle is None:
                photos = TrainingPhotos.of(labeller.run, workspace)
    classifier.warm_up()
    name = request.name or title
    seconds = time.perf_counter() - start
    return ServedModel(name, title, version, origin, classifier, photos, heatmaps, seconds)


def _made(run: Run, otherwise: int) -> int:
    try:
        return int(datetime.fromisoformat(run.info.created).timestamp())
    except (ValueError, RetrainError):
        return otherwise
