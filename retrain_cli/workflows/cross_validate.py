"""Cross-validation of the dataset last used, kept with a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.splits import SPLITS
from retrain_cli.errors import RunError, setting
from retrain_cli.evaluation.arrays import read_arrays
from retrain_cli.evaluation.comparing.fold_figures import FoldFigures
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.figures import headline_figures
from retrain_cli.evaluation.predictions import Predictions
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.cross_validation import FoldPlan, FoldProgress, OutOfFold, cross_validate
from retrain_cli.notebook.bars import Done, NotebookBar
from retrain_cli.runs.older_runs import FOLDS_KEY
from retrain_cli.runs.run import Run
from retrain_cli.workflows.shared.training_set import TrainingSet

FILE_NAME: Final = "cross_validation.npz"
METRICS_KEY: Final = FOLDS_KEY

FoldListener = Callable[[FoldProgress], None]

FOLD_BAR: NotebookBar[FoldProgress] = NotebookBar(
    "cross-validation",
    lambda made: Done(
        made.fold * made.training.steps + made.training.row.step,
        made.n_folds * made.training.steps,
        f"fold {made.fold + 1} of {made.n_folds}",
    ),
)


def plan_folds(training_set: TrainingSet, n_folds: int) -> FoldPlan:
    """The folds of a training set; see `FoldPlan.make`.

    Raises:
        RetrainError: too few folds, or too few images for so many.
    """
    validation = training_set.images.split == SPLITS.index("validation")
    return FoldPlan.make(training_set.items, n_folds, validation)


def out_of_fold(
    training_set: TrainingSet,
    config: TrainingConfig,
    n_folds: int = 5,
    on_progress: FoldListener = FOLD_BAR,
    *,
    memory_limit: int | None = None,
    fitted: bool = False,
) -> OutOfFold:
    """Cross-validate; `.probabilities(training_set.data.bottlenecks)` judges each image.

    Args:
        training_set: the images.
        config: the training settings, the same for every fold.
        n_folds: how many folds.
        on_progress: is told of each evaluation.
        memory_limit: as for `train_head`.
        fitted: as for `cross_validate`.

    Raises:
        RetrainError: as `plan_folds` and `cross_validate`.
        KeyboardInterrupt: Ctrl-C came before the second fold was finished.
    """
    plan = plan_folds(training_set, n_folds)
    data = training_set.data
    return cross_validate(data, plan, config, on_progress, memory_limit, fitted=fitted)


def fold_figures(result: OutOfFold, training_set: TrainingSet) -> FoldFigures:
    """The figures of each fold, and their mean, deviation and interval."""
    predictions = result.predictions(training_set.data.bottlenecks, training_set.images)
    fold_of = result.plan.folds[result.judged()]
    figures = []
    for fold in range(len(result.heads)):
        rows = np.flatnonzero(fold_of == fold)
        counts = EvalCounts.count(
            predictions.images.labels[rows],
            predictions.rank[rows],
            predictions.top_classes[rows, 0],
            predictions.n_classes,
        )
        figures.append(headline_figures(EvalResult.from_counts(counts, training_set.origins)))
    return FoldFigures.of(result.plan.n_folds, figures)


def save_predictions(result: OutOfFold, training_set: TrainingSet, folder: Path) -> None:
    """Keep the out-of-fold predictions, and which fold held each image out, in a run's folder."""
    predictions = result.predictions(training_set.data.bottlenecks, training_set.images)
    predictions.save(folder / FILE_NAME, folds=result.plan.folds[result.judged()])


def saved_folds(run: Run) -> NDArray[np.int32]:
    """The fold that held out each image of `saved_predictions`, `(n_images,)`, from 0.

    Raises:
        RunError: it was not cross-validated, by an older version, or the file is damaged.
    """
    saved_predictions(run)
    folds: NDArray[np.int32] = read_arrays(
        run.folder / FILE_NAME, ("folds",), "the folds of a cross-validation"
    )["folds"]
    return folds


def saved_figures(run: Run) -> FoldFigures | None:
    """The figures that were kept with a run; None where it was not cross-validated."""
    values = run.metrics.get(METRICS_KEY)
    if values is None:
        return None
    try:
        return FoldFigures.from_dict(values)
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"the cross-validation of run {run.name} is damaged ({error!r}): train it again"
        ) from error


def saved_predictions(run: Run) -> Predictions:
    """The out-of-fold predictions that were kept with a run.

    Raises:
        RunError: it was not cross-validated, or the file is damaged.
    """
    path = run.folder / FILE_NAME
    if not path.is_file():
        raise RunError(
            f"{setting('split', 'cv')} needs a cross-validated run, and {run.name} is none: "
            "train one with `retrain train --cv 5`"
        )
    return Predictions.load(run.file(FILE_NAME))
