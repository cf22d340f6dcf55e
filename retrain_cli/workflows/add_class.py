"""`retrain add-class`: a new class from a few photos, added to a trained run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np

from retrain_cli import interrupts
from retrain_cli.backbones.loader import BackboneLoader
from retrain_cli.datasets.class_names import check_class_names, find_name
from retrain_cli.datasets.origins import match_origins
from retrain_cli.datasets.source_classes import load_source_classes
from retrain_cli.errors import ConfigError, setting
from retrain_cli.evaluation.comparing.added_class import KnownCost, NewClassFigures
from retrain_cli.evaluation.predictions import Predictions, predict
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.extraction.readers import ReaderKind
from retrain_cli.heads.history import ProgressListener, TrainedHead
from retrain_cli.heads.surgery.growing import left_out_ranks, retrain_with
from retrain_cli.heads.surgery.imprinting import imprint
from retrain_cli.heads.training import ignore_progress
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.images.limits.limited import PHOTO_TIMEOUT
from retrain_cli.notebook.bars import counted
from retrain_cli.notebook.sheets import Cell, Grid, sheet
from retrain_cli.paths import Paths, as_paths
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.making import Grown
from retrain_cli.runs.provenance import ImageCounts, Parent, Provenance
from retrain_cli.runs.run import Run, RunContents, RunStore, write_note
from retrain_cli.storage.urls import absolute_place
from retrain_cli.workflows.label import backbone_of
from retrain_cli.workflows.shared.class_photos import ClassPhotos, read_class_photos
from retrain_cli.workflows.shared.photo_vectors import PhotoListener, open_reader
from retrain_cli.workflows.shared.run_facts import current_versions, metrics_by_split
from retrain_cli.workspace import Workspace

_PHOTOS = counted("photos")


@dataclass(frozen=True)
class AddClassRequest:
    """What to add.

    Attributes:
        class_name: name of the new class.
        photos: its photos, files or folders.
        test: photos that measure it, files or folders; none to leave each photo out in turn.
        run: the run to add to; None for the latest.
        name: name of the new run; None for one made of the time.
        note: what to remember about it, in one line.
        retrain: train all classes again, instead of keeping the known ones as they are.
        device: auto, cpu, gpu or gpu:N.
        workers: number of readers, who read and decode; None: one a processor.
        readers: threads, processes or auto: processes where the photos are many.
        photo_timeout: seconds of processor time for a photo that may take very long by its header;
            0 for no limit.
    """

    class_name: str
    photos: Paths
    test: Paths = ()
    run: str | None = None
    name: str | None = None
    note: str = ""
    retrain: bool = False
    device: str = "auto"
    workers: int | None = None
    readers: ReaderKind = "auto"
    photo_timeout: float = PHOTO_TIMEOUT

    def __post_init__(self) -> None:
        if not self.class_name.strip() or not self.class_name.isprintable():
            raise ConfigError(f"a class needs a readable name, not {self.class_name!r}")
        _ = self.settings  # it checks the rest

    @property
    def settings(self) -> ExtractionSettings:
        """How to extract."""
        return ExtractionSettings.of(self)


@dataclass(frozen=True)
class AddClassSummary:
    """What `add-class` did.

    Attributes:
        run: the new run.
        added_to: name of the run that it grew from.
        class_name: the new class.
        photos: distinct photos that it was made of.
        bad: files that were skipped, as (path, reason).
        figures: ranks of the new class; None where nothing could measure it.
        cost: what the known classes lost on test; None without test photos of theirs.
        interrupted_by: number of the signal that asked to end; the run is kept all the same, and
            nothing is measured.
    """

    run: Run
    added_to: str
    class_name: str
    photos: int
    bad: tuple[tuple[str, str], ...]
    figures: NewClassFigures | None
    cost: KnownCost | None
    interrupted_by: int | None = None

    def _repr_html_(self) -> str:
        figures, cost = self.figures, self.cost
        shares = {k: figures and figures.top(k) for k in (1, 5)}
        rows: list[list[Cell]] = [
            [f"top-{k} of {self.class_name}", share.value] for k, share in shares.items() if share
        ]
        if cost is not None:
            rows.append(["top-1 of the other classes before", cost.top1_before])
            rows.append(["top-1 of the other classes now", cost.top1_after])
        return sheet(
            f"run {self.run.name}: {self.class_name}, added to {self.added_to}",
            f"photos: {self.photos:,}; skipped: {len(self.bad):,}",
            Grid(("figure", "share"), rows),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": self.run.name,
            "folder": str(self.run.folder),
            "added_to": self.added_to,
            "class": self.class_name,
            "photos": self.photos,
            "bad": [{"path": path, "reason": reason} for path, reason in self.bad],
            "new_class": self.figures and self.figures.to_dict(),
            "known_classes": self.cost and self.cost.to_dict(),
        }


def add_class(
    request: AddClassRequest,
    workspace: Workspace,
    *,
    on_photo: PhotoListener = _PHOTOS,
    on_progress: ProgressListener = ignore_progress,
    load: BackboneLoader | None = None,
) -> AddClassSummary:
    """Add a class to a run; the run itself stays as it is.

    The photos may lie anywhere: their bottlenecks go into the cache, the new run names them by
    path and digest, and no dataset takes them in. Ctrl-C in training keeps what was trained by
    then as the run; `interrupted_by` of the summary tells so.

    Raises:
        DatasetError: no good photo, or one that the run knows as something else.
        ConfigError: the class is there already.
        RetrainError: no such run, or its cache or backbone are gone.
        Interruption: Ctrl-C came before there was anything to keep, or after all was kept.
    """
    runs = RunStore(workspace.runs_dir)
    run = runs.get(request.run)
    _check_name(run, request)
    spec, settings = backbone_of(run), request.settings
    with open_reader("add-class", spec, workspace, settings, load, on_photo) as reader:
        photos = read_class_photos(run, as_paths(request.photos), as_paths(request.test), reader)
    with runs.create(request.name) as draft, interrupts.held():
        trained = _grow(request, photos, on_progress)
        contents = _contents(request, photos, trained)
        write_note(draft.folder, request.note)
        grown = draft.commit(contents)
        interrupted_by = interrupts.taken()
    bad = photos.made_of.bad + photos.test.bad
    summary = AddClassSummary(
        grown, run.name, request.class_name, len(photos.made_of), bad, None, None, interrupted_by
    )
    if interrupted_by is not None:
        return summary
    with interrupts.keeping(lambda: f"run {grown.name} is kept"):
        figures = _figures(request, photos, contents.predictions)
        return replace(summary, figures=figures, cost=_cost(run.predictions, contents.predictions))


def _check_name(run: Run, request: AddClassRequest) -> None:
    known = find_name(request.class_name, run.labels)
    if known is not None:
        raise ConfigError(
            f"add-class adds a class that is new, and run {run.name} knows {known!r}: "
            "choose another name, or put the photos into its folder and train again"
        )
    check_class_names((*run.labels, request.class_name))
    if request.retrain and len(np.unique(run.predictions.images.labels)) < len(run.labels):
        raise ConfigError(
            f"{setting('retrain')} needs photos of every class, and run {run.name} keeps source "
            f"classes that it has none of: leave out {setting('retrain')}"
        )


def _grow(
    request: AddClassRequest, photos: ClassPhotos, on_progress: ProgressListener
) -> TrainedHead:
    run, name, vectors = photos.run, request.class_name, photos.made_of.vectors
    known = photos.known
    if request.retrain:
        trained = retrain_with(known, name, vectors, run.config, on_progress=on_progress)
        fitted = run.provenance.fit is not None
        return with_fitted_scores(trained, known, run.config.seed) if fitted else trained
    head = imprint(run.head, known, name, vectors)
    fit = run.provenance.fit
    return TrainedHead(head, run.history, run.info.best_step, run.info.stopped_by, fit)


def _contents(request: AddClassRequest, photos: ClassPhotos, trained: TrainedHead) -> RunContents:
    run, name = photos.run, request.class_name
    predictions = predict(trained.head, photos.vectors(), photos.images())
    provenance = replace(_provenance(run, request, predictions), fit=trained.fit)
    source = load_source_classes(provenance.source_classes)
    origins = [*run.origins, *match_origins([name], source, None)]
    info = RunInfo(
        provenance,
        run.info.cache,
        current_versions(),
        trained.best_step,
        trained.stopped_by,
    )
    return RunContents(
        info,
        origins,
        trained.head,
        trained.history,
        predictions,
        metrics_by_split(predictions, origins),
    )


def _provenance(run: Run, request: AddClassRequest, predictions: Predictions) -> Provenance:
    """What the new run is made from: what its parent was, and the photos of the class."""
    known = run.provenance
    return replace(
        known,
        made=Grown(
            run.name,
            request.class_name,
            _absolute(request.photos),
            _absolute(request.test),
            request.retrain,
            known.made.added,
        ),
        parents=_parents(run, request),
        counts=ImageCounts.of(predictions, known.counts.trained_on),
    )


def _parents(run: Run, request: AddClassRequest) -> tuple[Parent, ...]:
    """The runs that the new one comes from; of one that is trained again no head is used."""
    if request.retrain:
        return run.provenance.uninterrupted().line(run.name, calibrated=False)
    return run.provenance.line(run.name, calibrated=run.calibration is not None)


def _absolute(paths: Paths) -> tuple[PurePath, ...]:
    return tuple(absolute_place(path) for path in as_paths(paths))


def _figures(
    request: AddClassRequest, photos: ClassPhotos, predictions: Predictions
) -> NewClassFigures | None:
    """By the test photos, else by leaving out those that it is made of, one at a time."""
    n_classes = predictions.n_classes
    if len(photos.test):
        return NewClassFigures(tuple(predictions.rank[-len(photos.test) :].tolist()), n_classes)
    if request.retrain:
        return None
    run, vectors = photos.run, photos.made_of.vectors
    ranks = left_out_ranks(run.head, photos.known, request.class_name, vectors)
    return NewClassFigures(ranks, n_classes) if ranks else None


def _cost(before: Predictions, after: Predictions) -> KnownCost | None:
    """On the test photos of the known classes, which come first in both."""
    rows = before.rows("test")
    return KnownCost.between(before.rank[rows], after.rank[rows])
