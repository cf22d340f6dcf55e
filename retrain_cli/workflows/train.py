"""`retrain train`: from cached bottlenecks to a run on disk."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import RunError, WorkspaceError
from retrain_cli.evaluation.comparing.fold_figures import FoldFigures
from retrain_cli.evaluation.predictions import predict
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.extraction.pipeline import ExtractionSettings
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import ProgressListener, StoppedBy, TrainedHead, TrainingProgress
from retrain_cli.heads.tensorboard import tensorboard_listener
from retrain_cli.heads.training import train_head
from retrain_cli.paths import absolute
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.run import Run, RunContents, RunStore, RunWriter
from retrain_cli.workflows.bottlenecks import BottleneckRequest
from retrain_cli.workflows.cross_validate import (
    METRICS_KEY,
    FoldListener,
    fold_figures,
    out_of_fold,
    plan_folds,
    save_predictions,
)
from retrain_cli.workflows.shared.kept_sources import (
    KEPT_KEY,
    KeptSources,
    keep_sources,
    load_stock_classes,
)
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.run_facts import current_versions, metrics_by_split, result_of
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workspace import Workspace


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        config: the training settings.
        name: name of the run; None for one made of the time.
        init_from: name of the run whose head to start from, or None.
        tensorboard: whether to write curves into the run.
        memory_limit: bytes that bottlenecks may take in memory before they are read from a file;
            None for half of what is available.
        cv: number of folds to cross-validate with after training; None for none.
        keep_source_classes: join the head with the backbone's own classifier.
        top: weights file of the backbone with that classifier; None for the backbone's own.
    """

    config: TrainingConfig
    name: str | None = None
    init_from: str | None = None
    tensorboard: bool = False
    memory_limit: int | None = None
    cv: int | None = None
    keep_source_classes: bool = False
    top: Path | None = None


@dataclass(frozen=True, eq=False)
class TrainingSummary:
    """What `train` did.

    Attributes:
        run: the finished run.
        best_step: the step that its head comes from.
        last_step: the last step that was made.
        stopped_by: why training ended.
        best_validation: top-1 on validation of the kept head; None without validation images.
        test: figures on the test split; None without test images.
        steps_per_second: speed, evaluations included.
        folds: figures of the cross-validation; None without one, or where it was interrupted
            before its second fold was finished.
    """

    run: Run
    best_step: int
    last_step: int
    stopped_by: StoppedBy
    best_validation: float | None
    test: EvalResult | None
    steps_per_second: float
    folds: FoldFigures | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": self.run.name,
            "folder": str(self.run.folder),
            "best_step": self.best_step,
            "last_step": self.last_step,
            "stopped_by": self.stopped_by,
            "steps_per_second": self.steps_per_second,
            "metrics": dict(self.run.metrics),
        }


def request_for_data(
    image_dir: Path, workspace: Workspace, *, rescan: bool = False
) -> BottleneckRequest:
    """How to fill the cache for `--data`: the backbone last used here, else the default one."""
    try:
        used = LastUsed.load(workspace)
    except WorkspaceError:
        return BottleneckRequest(image_dir, rescan=rescan)
    same_folder = used.image_dir == absolute(image_dir)
    return BottleneckRequest(
        image_dir,
        used.backbone,
        used.source_classes,
        used.int_ext if same_folder else None,
        ExtractionSettings(),
        group=used.group,
        layout=used.layout if same_folder else "auto",
        rescan=rescan,
    )


def train_run(
    request: TrainRequest,
    workspace: Workspace,
    on_progress: ProgressListener = lambda progress: None,
    on_fold: FoldListener = lambda progress: None,
) -> TrainingSummary:
    """Train a head on the dataset last used, and keep it as a run.

    With `request.cv` the same settings are then cross-validated, and the result is kept with the
    run. Ctrl-C ends this with the folds that are finished.

    Raises:
        RetrainError: no bottlenecks, a setting that cannot work, a name that is taken.
    """
    store = RunStore(workspace.runs_dir)
    training_set = load_training_set(workspace, request.config, request.memory_limit)
    if request.cv is not None:
        plan_folds(training_set, request.cv)  # what cannot work is said before the work
    initial = _initial_head(store, request.init_from, training_set)
    stock = None
    if request.keep_source_classes:
        stock = load_stock_classes(training_set.used, request.top)
    with store.create(request.name) as draft:
        started = time.monotonic()
        trained = _train(request, training_set, initial, draft, on_progress)
        seconds = time.monotonic() - started
        kept = None
        if stock is not None:
            kept = keep_sources(stock, trained.head, training_set, request.config)
        folds = None
        if request.cv is not None and trained.stopped_by != "interrupt":
            folds = _cross_validate(request, request.cv, training_set, draft, on_fold)
        contents = _contents(request, training_set, trained, kept, folds)
        run = draft.commit(contents)
    return _summarise(run, contents, seconds, folds)


def _train(
    request: TrainRequest,
    training_set: TrainingSet,
    initial: Head | None,
    draft: RunWriter,
    on_progress: ProgressListener,
) -> TrainedHead:
    with tensorboard_listener(draft.folder, request.tensorboard) as on_curve:

        def listen(progress: TrainingProgress) -> None:
            on_progress(progress)
            on_curve(progress)

        return train_head(
            training_set.data,
            request.config,
            initial=initial,
            on_progress=listen,
            memory_limit=request.memory_limit,
        )


def _cross_validate(
    request: TrainRequest,
    n_folds: int,
    training_set: TrainingSet,
    draft: RunWriter,
    on_fold: FoldListener,
) -> FoldFigures | None:
    """Figures of the folds, whose predictions are put into the run; None if there is but one."""
    try:
        result = out_of_fold(
            training_set, request.config, n_folds, on_fold, memory_limit=request.memory_limit
        )
    except KeyboardInterrupt:
        return None  # the run itself is finished, and is kept
    save_predictions(result, training_set, draft.folder)
    return fold_figures(result, training_set)


def _initial_head(store: RunStore, name: str | None, training_set: TrainingSet) -> Head | None:
    """The head to start from.

    Raises:
        RunError: no such run, one of another backbone, or one that knows none of the classes.
    """
    if name is None:
        return None
    run = store.get(name)
    fingerprint = training_set.used.fingerprint
    if run.info.cache != fingerprint:
        raise RunError(
            f"--init-from needs a run of the same backbone, and {name} was trained on "
            f"{run.info.dataset.get('backbone', 'another one')}: choose another run, or run "
            "`retrain bottlenecks` with that backbone"
        )
    return run.trained_head.extended_to(training_set.data.class_names)


def _contents(
    request: TrainRequest,
    training_set: TrainingSet,
    trained: TrainedHead,
    kept: KeptSources | None,
    folds: FoldFigures | None,
) -> RunContents:
    head, origins = trained.head, training_set.origins
    if kept is not None:
        head, origins = kept.head, kept.origins
    predictions = predict(head, training_set.data.bottlenecks, training_set.images)
    used = training_set.used
    info = RunInfo(
        training=request.config,
        backbone=used.backbone.to_dict(),
        dataset={
            "image_dir": str(used.image_dir),
            "backbone": used.backbone.label(),
            "source_classes": used.source_classes,
            "images": len(training_set.images),
            **{f"{split}_images": len(predictions.rows(split)) for split in SPLITS},
            "trained_on": len(training_set.data.training),
            "init_from": request.init_from,
            **({KEPT_KEY: kept.report} if kept else {}),
        },
        cache=used.fingerprint,
        versions=current_versions(),
        best_step=trained.best_step,
        stopped_by=trained.stopped_by,
    )
    metrics = metrics_by_split(predictions, origins)
    if folds is not None:
        metrics[METRICS_KEY] = folds.to_dict()
    return RunContents(info, origins, head, trained.history, predictions, metrics)


def _summarise(
    run: Run, contents: RunContents, seconds: float, folds: FoldFigures | None
) -> TrainingSummary:
    history = contents.history
    validation = contents.metrics["validation"]
    last_step = history[-1].step if history else 0
    return TrainingSummary(
        run=run,
        best_step=contents.info.best_step,
        last_step=last_step,
        stopped_by=contents.info.stopped_by,
        best_validation=validation and validation["top1"],
        test=result_of(contents.predictions, "test", list(contents.origins)),
        steps_per_second=last_step / seconds,
        folds=folds,
    )
