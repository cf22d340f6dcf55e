"""`retrain eval`: figures of a run from its saved predictions; no engine is needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from retrain_cli.checks import check_choices, check_views, not_one_of
from retrain_cli.datasets.splits import SPLITS, Split
from retrain_cli.errors import AssertionNotMetError, ConfigError, RetrainError, RunError, setting
from retrain_cli.evaluation import figures
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.curves.class_curves import Curves, curves_of
from retrain_cli.evaluation.curves.coverage import CoverageCurve, coverage_curve
from retrain_cli.evaluation.figures import Measured
from retrain_cli.evaluation.predictions import Misclassified, Predictions, list_misclassified
from retrain_cli.evaluation.reliability import Reliability
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.evaluation.scores import AllScores, saved_scores
from retrain_cli.evaluation.two_classes import TwoClassTable
from retrain_cli.notebook.bars import counted
from retrain_cli.notebook.sheets import sheet
from retrain_cli.paths import StrPath, as_path
from retrain_cli.reports.plots.confusion_plot import draw_confusion
from retrain_cli.reports.plots.curve_plots import draw_precision_recall, draw_roc
from retrain_cli.reports.plots.histogram_plot import draw_histogram
from retrain_cli.reports.plots.plot_files import save_figure
from retrain_cli.reports.plots.reliability_plot import draw_reliability
from retrain_cli.runs.run import Run, RunStore
from retrain_cli.workflows.augmentation.averaged import predict_averaged
from retrain_cli.workflows.cross_validate import saved_predictions
from retrain_cli.workflows.shared.leaks import known_alike, leaked_rows
from retrain_cli.workflows.shared.run_scores import scores_of
from retrain_cli.workspace import Workspace

Evaluated = Literal["training", "validation", "test", "all", "cv"]
"""The images that are evaluated: a split, all, or those of a cross-validation."""

Chart = Literal["histogram", "roc", "pr", "reliability", "confusion"]
MOST_CURVE_SCORES = 1_000_000_000
"""Some minutes; ten thousand classes with as many photos have a tenth of it."""

_COUNTING = counted("scores for the curves")

CHARTS: tuple[Chart, ...] = get_args(Chart)


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate.

    Attributes:
        run: name of the run; None for the latest.
        split: training, validation, test, all; or cv for the images of a cross-validation.
        ks: the k's of top-k.
        positive: the positive class of a run with two; None for the second.
        views: average the scores over this many cached views of each photo, too.
    """

    run: str | None = None
    split: Evaluated = "test"
    ks: tuple[int, ...] = (1,)
    positive: str | None = None
    views: int = 0

    def __post_init__(self) -> None:
        check_choices(self)
        check_views(self)
        if self.views and self.split == "cv":
            raise ConfigError(
                "the heads of a cross-validation are not kept, so they cannot be asked about "
                f"views: leave out {setting('views')}, or choose another {setting('split')}"
            )

    @property
    def chosen(self) -> Split | None:
        """The split, None for all of them and for those of a cross-validation."""
        return next((split for split in SPLITS if split == self.split), None)


@dataclass(frozen=True)
class ChartRequest:
    """A picture of an evaluation.

    Attributes:
        plot: the file to write, .png, .svg or .pdf; None for none.
        chart: what is shown.
    """

    plot: StrPath | None = None
    chart: Chart = "histogram"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run and its figures.

    Attributes:
        run: the run.
        request: what was asked for.
        result: the figures that need counts alone.
        predictions: what is evaluated: the run's predictions, those of its cross-validation, or
            means over views.
        workspace: where the run's cache is.
        on_progress: told how many images of how many are counted for the curves.
    """

    run: Run
    request: EvalRequest
    result: EvalResult
    predictions: Predictions
    workspace: Workspace
    on_progress: Callable[[int, int], None] = lambda done, total: None

    @cached_property
    def two_classes(self) -> TwoClassTable | None:
        """The 2x2 table; None for more than two classes."""
        return self.result.two_class_table(self.request.positive)

    @cached_property
    def n_leaked(self) -> int:
        """Test photos of which training or validation holds a copy, or as `check` saw nearly so."""
        return len(leaked_rows(self.run.predictions.images, known_alike(self.workspace)))

    @property
    def n_scores(self) -> int:
        """How many scores the curves count."""
        return self.result.n_images * self.result.n_classes

    @property
    def curves(self) -> Curves:
        """ROC and precision-recall curves; the scores of all classes are needed.

        Raises:
            RetrainError: they were not all saved and cannot be computed anew.
        """
        found = self.curves_or_reason
        if isinstance(found, RetrainError):
            raise found
        return found

    @cached_property
    def curves_or_reason(self) -> Curves | RetrainError:
        """The curves, or why there are none; computed when first asked for."""
        try:
            return curves_of(self._scores(), self.on_progress)
        except RetrainError as reason:
            return reason

    def _scores(self) -> AllScores:
        """The scores of all classes, saved with the run or computed anew."""
        if self.n_scores > MOST_CURVE_SCORES:
            raise RunError(
                f"curves count the scores of all classes, at most {MOST_CURVE_SCORES:,} of them, "
                f"and {self.result.n_images:,} photos of {self.result.n_classes:,} classes have "
                f"{self.n_scores:,}: choose a {setting('split')} of fewer photos, or do without"
            )
        rows = self.predictions.rows(self.request.chosen)
        scores = saved_scores(self.predictions, rows)
        if scores is None and self.request.split == "cv":
            raise RunError(
                "the heads of a cross-validation are not kept, and the scores of all classes only "
                f"up to 100 classes: for curves choose another {setting('split')}"
            )
        if scores is None and self.request.views:
            raise RunError(
                "means over views are kept of all classes only up to 100 classes: for curves leave "
                f"out {setting('views')}"
            )
        return scores or scores_of(self.run, rows, self.workspace)

    def misclassified(self) -> list[Misclassified]:
        """The images that the run gets wrong, the surest mistakes first."""
        return list_misclassified(self.predictions, self.request.chosen, self.run.labels)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values; null where not defined, with a reason for missing curves."""
        curves = self.curves_or_reason
        is_known = isinstance(curves, Curves)
        measured = Measured(self.result, curves if isinstance(curves, Curves) else None)
        document: dict[str, Any] = {"run": self.run.name, **figures.document(measured)}
        # The temperature is the run's own; the heads of the folds know nothing of it.
        calibration = None if self.request.split == "cv" else self.run.calibration
        document["calibration"] = calibration and calibration.to_dict()
        if self.request.views:
            document["views"] = self.request.views
        document["two_classes"] = self.two_classes and self.two_classes.to_dict()
        return document if is_known else document | {"curves_missing": str(curves)}

    def to_frame(self) -> DataFrame:
        """A row for each class, the worst first: see `EvalResult.to_frame`."""
        return self.result.to_frame()

    def _repr_html_(self) -> str:
        return sheet(f"run {self.run.name} on {self.result.split}", *self.result.sheet_parts())

    def coverage(self) -> CoverageCurve:
        """The accuracy of the surest answers, by how many are given."""
        return coverage_curve(self.predictions, self.request.chosen)

    def assert_top1(self, least: float) -> None:
        """Hold the run to a top-1 accuracy.

        Raises:
            AssertionNotMetError: it is lower.
        """
        top1 = self.result.top1.overall
        value = top1.value if top1 else 0.0
        if value < least:
            raise AssertionNotMetError(
                f"top-1 must be at least {least:.2%} and is {value:.2%} on {self.result.split} "
                f"(run {self.run.name})"
            )


def predictions_of(run: Run, request: EvalRequest, workspace: Workspace) -> Predictions:
    """The predictions that are asked about: saved ones, or means over views, of the split alone.

    Raises:
        RunError: the run was not cross-validated, or its files are damaged.
        CacheError: the views are not cached.
    """
    if request.views:
        rows = run.predictions.rows(request.chosen)
        return predict_averaged(run, rows, request.views, workspace)
    return saved_predictions(run) if request.split == "cv" else run.predictions


def evaluate(
    request: EvalRequest,
    workspace: Workspace,
    on_progress: Callable[[int, int], None] = _COUNTING,
) -> Evaluation:
    """Compute the figures of a run; its curves are computed when they are first asked for.

    Args:
        request: what to evaluate.
        workspace: where the run is.
        on_progress: told how many images of how many are counted for the curves.

    Raises:
        RunError: no such run, a damaged one, or one without images in this split.
        ConfigError: no such split, a k below 1, or a positive class that does not fit.
    """
    chosen = request.chosen
    run = RunStore(workspace.runs_dir).get(request.run)
    predictions = predictions_of(run, request, workspace)
    counts = EvalCounts.from_predictions(predictions, chosen, request.ks)
    if not counts.n_images.sum():
        raise RunError(
            f"an evaluation needs images, and run {run.name} has none in its {request.split} "
            f"split: choose another one with {setting('split')}, or train with a higher percentage "
            "for it"
        )
    reliability = Reliability.from_predictions(predictions, chosen)
    result = EvalResult.from_counts(counts, run.origins, request.split, reliability)
    result.two_class_table(request.positive)  # refuses a class that does not fit, at once
    return Evaluation(run, request, result, predictions, workspace, on_progress)


if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_CHARTS: dict[Chart, Callable[[Evaluation], Figure]] = {
    "histogram": lambda evaluation: draw_histogram(evaluation.result),
    "roc": lambda evaluation: draw_roc(evaluation.result, evaluation.curves),
    "pr": lambda evaluation: draw_precision_recall(evaluation.result, evaluation.curves),
    "reliability": lambda evaluation: draw_reliability(evaluation.result, _reliability(evaluation)),
    "confusion": lambda evaluation: draw_confusion(evaluation.result),
}


def plot_chart(evaluation: Evaluation, chart: Chart, path: StrPath) -> None:
    """Write a picture of an evaluation.

    Args:
        evaluation: what to show.
        chart: one of `CHARTS`.
        path: a file that ends in .png, .svg or .pdf.

    Raises:
        ConfigError: no such chart, or another suffix.
        RetrainError: the scores for it are missing, or the file cannot be written.
    """
    if chart not in _CHARTS:
        raise ConfigError(not_one_of(setting("chart"), CHARTS, chart))
    save_figure(lambda: _CHARTS[chart](evaluation), as_path(path))


def _reliability(evaluation: Evaluation) -> Reliability:
    reliability = evaluation.result.reliability
    assert reliability is not None  # every evaluation of a run has it
    return reliability
