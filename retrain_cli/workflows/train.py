"""`retrain train`: from cached bottlenecks to a run on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from retrain_cli import interrupts, waiting
from retrain_cli.datasets.class_names import listed
from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import ConfigError, RunError, setting
from retrain_cli.evaluation.comparing.fold_figures import FoldFigures
from retrain_cli.evaluation.predictions import predict
from retrain_cli.heads.config import CLOSED, TrainingConfig
from retrain_cli.heads.cross_validation import OutOfFold
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import ProgressListener, TrainedHead, TrainingProgress
from retrain_cli.heads.tensorboard import tensorboard_listener
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import with_fitted_scores
from retrain_cli.notebook.bars import Done, NotebookBar
from retrain_cli.paths import StrPath, absolute
from retrain_cli.reports.few_photos import warn_of_few
from retrain_cli.runs.info import RunInfo
from retrain_cli.runs.making import Searched, Trained
from retrain_cli.runs.provenance import ImageCounts, Provenance
from retrain_cli.runs.run import Run, RunContents, RunStore, RunWriter, write_note
from retrain_cli.workflows.cross_validate import (
    FOLD_BAR,
    METRICS_KEY,
    FoldListener,
    fold_figures,
    out_of_fold,
    plan_folds,
    save_predictions,
)
from retrain_cli.workflows.shared.kept_sources import (
    KeptSources,
    SourceHead,
    keep_sources,
    load_source_head,
)
from retrain_cli.workflows.shared.last_used import LastUsed
from retrain_cli.workflows.shared.run_facts import current_versions, metrics_by_split, result_of
from retrain_cli.workflows.shared.training_set import TrainingSet, load_training_set
from retrain_cli.workflows.summaries.training_summary import TrainingSummary
from retrain_cli.workspace import Workspace

FEW_SHOT_FOLDS = 5

_BAR: NotebookBar[TrainingProgress] = NotebookBar(
    "training", lambda made: Done(made.row.step, made.steps)
)


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        config: the training settings.
        name: name of the run; None for one made of the time.
        note: what to remember about it, in one line.
        init_from: the run whose head to start from, or None.
        tensorboard: whether to write curves into the run.
        memory_limit: bytes that bottlenecks may take in memory before they are read from a file;
            None for half of what is available.
        cv: number of folds to cross-validate with after training; None for none.
        keep_source_classes: join the head with the backbone's own classifier.
        top: weights file of the backbone with that classifier; None for the backbone's own.
        calibrate: fit the scores, where the optimiser does not do so itself, to the validation
            images or, where these are fewer than 10, to those of the folds of `cv`.
        few_shot: all images train, and 5 folds, or those of `cv`, measure.
    """

    config: TrainingConfig
    name: str | None = None
    note: str = ""
    init_from: str | None = None
    tensorboard: bool = False
    memory_limit: int | None = None
    cv: int | None = None
    keep_source_classes: bool = False
    top: StrPath | None = None
    calibrate: bool = True
    few_shot: bool = False

    def __post_init__(self) -> None:
        self.config.validate()
        if self.few_shot:
            self._expand_few_shot()
        if self.init_from is not None and self.config.optimizer in CLOSED:
            raise ConfigError(
                f"{setting('init_from')} goes on with a head step by step, and "
                f"{setting('optimizer', self.config.optimizer)} makes one anew: leave out one"
            )
        if self.keep_source_classes and not self.config.is_one_layer:
            raise ConfigError(
                f"{setting('keep_source_classes', True)} puts two softmax layers of the same "
                f"bottlenecks side by side: leave out {setting('hidden')}, "
                f"{setting('head', 'cosine')} and {setting('normalise', 'l2')}"
            )
        if self.keep_source_classes and self.config.balance == "prior":
            raise ConfigError(
                f"{setting('balance', 'prior')} takes off the shares that classes had in training, "
                f"and {setting('keep_source_classes', True)} joins classes whose shares are not "
                "known: leave out one of them"
            )
        if self.top is not None and not self.keep_source_classes:
            raise ConfigError(
                f"{setting('top')} goes with {setting('keep_source_classes', True)}: add that, or "
                f"leave {setting('top')} out"
            )

    def _expand_few_shot(self) -> None:
        """Put in what it is short for, so that a run is known by that."""
        usual = TrainingConfig()
        for name in ("testing_percentage", "validation_percentage"):
            value = getattr(self.config, name)
            if value not in (0, getattr(usual, name)):
                raise ConfigError(
                    f"{setting('few_shot', True)} keeps no photos aside, so {setting(name)} is 0, "
                    f"not {value:g}: leave one of them out"
                )
        config = replace(self.config, testing_percentage=0.0, validation_percentage=0.0)
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "cv", self.cv or FEW_SHOT_FOLDS)


def train_run(
    request: TrainRequest,
    workspace: Workspace,
    on_progress: ProgressListener = _BAR,
    on_fold: FoldListener = FOLD_BAR,
    on_warning: Callable[[str], None] = lambda warning: None,
    *,
    used: LastUsed | None = None,
    search: Searched | None = None,
) -> TrainingSummary:
    """Train a head on the dataset last used, and keep it as a run.

    With `request.cv` the same settings are then cross-validated, and the result is kept with the
    run. Ctrl-C ends the work early, and what was trained by then becomes a run; `interrupted_by`
    and `unfinished` of the summary tell so. Before the work, `on_warning` is told of classes with
    few photos. `used` is another dataset and backbone than those last used, `search` the search
    that found the settings.

    Raises:
        RetrainError: no bottlenecks, a setting that cannot work, a name that is taken.
        KeyboardInterrupt: Ctrl-C came before the first step was made.
    """
    store = RunStore(workspace.runs_dir)
    training_set = _training_set(request, workspace, on_warning, used)
    views = training_set.data.n_views or None
    request = replace(request, config=replace(request.config, views=views))
    parent = None if request.init_from is None else store.get(request.init_from)
    initial = _initial_head(parent, training_set)
    source_head = _source_head(request, training_set)
    with store.create(request.name) as draft, interrupts.held():
        started = time.monotonic()
        trained = _train(request, training_set, initial, draft, on_progress)
        seconds = time.monotonic() - started
        judged = _cross_validate(request, trained, training_set, on_fold)
        trained = _fitted(request, trained, training_set.data, judged)
        training_set = _as_trained(training_set, trained)
        kept = _keep_sources(request, source_head, trained, training_set)
        folds = None
        if judged is not None:
            save_predictions(judged, training_set, draft.folder)
            folds = fold_figures(judged, training_set)
        made = replace(_made(request, parent, trained, folds), search=search)
        provenance = _provenance(training_set, request, parent, made, kept)
        contents = _contents(provenance, training_set, trained, kept, folds)
        write_note(draft.folder, request.note)
        run = draft.commit(contents)
        interrupted_by = interrupts.taken()
    missing = () if interrupted_by is None else _unfinished(request, kept, folds)
    summary = _summarise(run, contents, seconds, folds)
    return replace(summary, interrupted_by=interrupted_by, unfinished=missing)


def _training_set(
    request: TrainRequest,
    workspace: Workspace,
    on_warning: Callable[[str], None],
    used: LastUsed | None,
) -> TrainingSet:
    """What to train on; what cannot work is said before the work."""
    training_set = load_training_set(
        workspace, request.config, request.memory_limit, with_views=True, used=used
    )
    _tell_of_few_photos(training_set, request, on_warning)
    if request.config.balance == "smote":
        _tell_of_single_photos(training_set.data, on_warning)
    if request.keep_source_classes:  # they are weighed on validation images that trained nothing
        training_set = replace(training_set, data=training_set.data.without_spare())
    if request.cv is not None:
        plan_folds(training_set, request.cv)
    return training_set


def _source_head(request: TrainRequest, training_set: TrainingSet) -> SourceHead | None:
    if not request.keep_source_classes:
        return None
    return load_source_head(training_set.used, request.top)


def _tell_of_few_photos(
    training_set: TrainingSet, request: TrainRequest, on_warning: Callable[[str], None]
) -> None:
    """Folds test on every photo, so nothing is said of small tests where there are any."""
    images, names = training_set.images, training_set.data.class_names
    is_test = images.split == SPLITS.index("test")
    counts, test = (
        np.bincount(labels, minlength=len(names)).tolist()
        for labels in (images.labels, images.labels[is_test])
    )
    for warning in warn_of_few(names, counts, [] if request.cv else test):
        on_warning(warning)


def _tell_of_single_photos(data: HeadData, on_warning: Callable[[str], None]) -> None:
    """SMOTE mixes the photos of a class, which takes two."""
    counts = np.bincount(data.labels[data.training], minlength=data.n_classes)
    single = [data.class_names[index] for index in np.flatnonzero(counts == 1)]
    if single and not data.n_views:
        on_warning(
            f"SMOTE mixes two photos of a class, and there is one to train on of "
            f"{listed(single[:3])}{' and others' * (len(single) > 3)}: it is copied instead"
        )


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


def _keep_sources(
    request: TrainRequest,
    source_head: SourceHead | None,
    trained: TrainedHead,
    training_set: TrainingSet,
) -> KeptSources | None:
    """The head joined with the backbone's own; None where that was not asked for, or not done."""
    if source_head is None or trained.stopped_by == "interrupt":
        return None
    try:
        return keep_sources(source_head, trained.head, training_set, request.config)
    except KeyboardInterrupt:
        return None  # the head itself is trained, and is kept


def _cross_validate(
    request: TrainRequest,
    trained: TrainedHead,
    training_set: TrainingSet,
    on_fold: FoldListener,
) -> OutOfFold | None:
    """The heads of the folds; None if there is but one."""
    if request.cv is None or trained.stopped_by == "interrupt" or interrupts.taken() is not None:
        return None
    try:
        return out_of_fold(
            training_set,
            request.config,
            request.cv,
            on_fold,
            memory_limit=request.memory_limit,
            fitted=request.calibrate,
        )
    except KeyboardInterrupt:
        return None  # the run itself is finished, and is kept


def _fitted(
    request: TrainRequest, trained: TrainedHead, data: HeadData, judged: OutOfFold | None
) -> TrainedHead:
    """The head with its scores fitted to images that it was not trained on."""
    if not request.calibrate:
        return trained
    fitted = with_fitted_scores(trained, data, request.config.seed)
    return fitted if fitted.fit or judged is None else judged.fitted(fitted, data)


def _as_trained(training_set: TrainingSet, trained: TrainedHead) -> TrainingSet:
    """Validation images that trained the head are training images."""
    if not trained.took_spare:
        return training_set
    images, data = training_set.images, training_set.data
    split = images.split.copy()
    split[data.spare] = SPLITS.index("training")
    return replace(training_set, images=replace(images, split=split), data=data.with_spare())


def _unfinished(
    request: TrainRequest, kept: KeptSources | None, folds: FoldFigures | None
) -> tuple[str, ...]:
    missing = []
    if request.keep_source_classes and kept is None:
        missing.append("the source classes")
    finished = len(folds.images) if folds else 0
    if request.cv is not None and finished < request.cv:
        missing.append(f"{request.cv - finished} of {request.cv} folds")
    return tuple(missing)


def _initial_head(run: Run | None, training_set: TrainingSet) -> Head | None:
    """The head to start from.

    Raises:
        RunError: a run of another backbone, or one that knows none of the classes.
    """
    if run is None:
        return None
    fingerprint = training_set.used.fingerprint
    if run.info.cache != fingerprint:
        raise RunError(
            f"{setting('init_from')} needs a run of the same backbone, and {run.name} was trained "
            f"on {run.info.backbone.label()}: choose another run, or run "
            "`retrain bottlenecks` with that backbone"
        )
    return run.trained_head.extended_to(training_set.data.class_names)


def _provenance(
    training_set: TrainingSet,
    request: TrainRequest,
    parent: Run | None,
    made: Trained,
    kept: KeptSources | None,
) -> Provenance:
    """What the run is made from."""
    used = training_set.used
    return Provenance(
        used.image_dir,
        used.backbone,
        request.config,
        used.source_classes,
        used.int_ext,
        used.group,
        layout=used.layout,
        distortion=used.distortion if request.config.views else "",
        cache_dtype=training_set.cache_dtype,
        made=made,
        joined=None if kept is None else kept.report,
        # A head is taken over as it was trained, calibrated or not.
        parents=() if parent is None else parent.provenance.line(parent.name, calibrated=False),
    )


def _made(
    request: TrainRequest, parent: Run | None, trained: TrainedHead, folds: FoldFigures | None
) -> Trained:
    """How the run is made."""
    interrupted = trained.stopped_by == "interrupt" and trained.history
    return Trained(
        None if parent is None else parent.name,
        None if folds is None else request.cv,
        request.keep_source_classes,
        None if request.top is None else absolute(request.top),
        trained.history[-1].step if interrupted else None,
        request.calibrate,
    )


def _contents(
    provenance: Provenance,
    training_set: TrainingSet,
    trained: TrainedHead,
    kept: KeptSources | None,
    folds: FoldFigures | None,
) -> RunContents:
    head, origins = trained.head, training_set.origins
    if kept is not None:
        head, origins = kept.head, kept.origins
    with waiting.for_("asking the head about every photo"):
        predictions = predict(head, training_set.data.bottlenecks, training_set.images)
    counts = ImageCounts.of(predictions, len(training_set.data.training))
    info = RunInfo(
        replace(provenance, counts=counts, fit=trained.fit),
        cache=training_set.used.fingerprint,
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
        seconds=seconds,
        folds=folds,
    )
