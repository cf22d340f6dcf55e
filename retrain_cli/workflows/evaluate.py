"""`retrain eval`: figures of a run from its saved predictions; no engine is needed."""

from __future__ import annotations

from dataclasses import dataclass

from retrain_cli.errors import AssertionNotMetError, ConfigError, RunError
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.coverage import CoverageCurve, coverage_curve
from retrain_cli.evaluation.predictions import Misclassified, Predictions, list_misclassified
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.runs import Run, RunStore
from retrain_cli.images.splits import SPLITS, Split
from retrain_cli.workflows.cross_validate import saved_predictions
from retrain_cli.workspace import Workspace

ALL_SPLITS = "all"
OUT_OF_FOLD = "cv"


@dataclass(frozen=True)
class EvalRequest:
    """What to evaluate.

    Attributes:
        run: name of the run; None for the latest.
        split: training, validation, test, all; or cv for the images of a cross-validation.
        ks: the k's of top-k.
    """

    run: str | None = None
    split: str = "test"
    ks: tuple[int, ...] = (1,)

    @property
    def chosen(self) -> Split | None:
        """The split, None for all of them and for those of a cross-validation.

        Raises:
            ConfigError: there is no such split.
        """
        for split in SPLITS:
            if split == self.split:
                return split
        if self.split in (ALL_SPLITS, OUT_OF_FOLD):
            return None
        choices = ", ".join((*SPLITS, ALL_SPLITS, OUT_OF_FOLD))
        raise ConfigError(f"--split is one of {choices}, not {self.split!r}")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A run and its figures."""

    run: Run
    request: EvalRequest
    result: EvalResult

    def misclassified(self) -> list[Misclassified]:
        """The images that the run gets wrong, the surest mistakes first."""
        predictions = predictions_of(self.run, self.request)
        return list_misclassified(predictions, self.request.chosen, self.run.labels)

    def coverage(self) -> CoverageCurve:
        """The accuracy of the surest answers, by how many are given."""
        return coverage_curve(predictions_of(self.run, self.request), self.request.chosen)

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


def predictions_of(run: Run, request: EvalRequest) -> Predictions:
    """The saved predictions that are asked about: of the run, or of its cross-validation.

    Raises:
        RunError: the run was not cross-validated, or its files are damaged.
    """
    return saved_predictions(run) if request.split == OUT_OF_FOLD else run.predictions


def evaluate(request: EvalRequest, workspace: Workspace) -> Evaluation:
    """Compute the figures of a run.

    Raises:
        RunError: no such run, a damaged one, or one without images in this split.
        ConfigError: no such split, or a k below 1.
    """
    chosen = request.chosen
    run = RunStore(workspace.runs_dir).get(request.run)
    counts = EvalCounts.from_predictions(predictions_of(run, request), chosen, request.ks)
    if not counts.n_images.sum():
        raise RunError(
            f"an evaluation needs images, and run {run.name} has none in its {request.split} "
            "split: choose another one with --split, or train with a higher percentage for it"
        )
    return Evaluation(run, request, EvalResult.from_counts(counts, run.origins, request.split))
