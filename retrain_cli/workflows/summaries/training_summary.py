"""What `retrain train` tells of its work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retrain_cli.evaluation.comparing.fold_figures import FoldFigures
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.history import StoppedBy
from retrain_cli.heads.temperature import ScoreFit
from retrain_cli.notebook.sheets import sheet
from retrain_cli.runs.run import Run


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
        seconds: how long training took.
        folds: figures of the cross-validation; None without one, or where it was interrupted
            before its second fold was finished.
        interrupted_by: number of the signal that asked to end; the run is kept all the same, and
            `unfinished` names what it lacks.
        unfinished: what was asked for and is not in the run, in words.
    """

    run: Run
    best_step: int
    last_step: int
    stopped_by: StoppedBy
    best_validation: float | None
    test: EvalResult | None
    steps_per_second: float
    seconds: float
    folds: FoldFigures | None = None
    interrupted_by: int | None = None
    unfinished: tuple[str, ...] = ()

    @property
    def fit(self) -> ScoreFit | None:
        """How the scores were fitted, and what was chosen."""
        return self.run.provenance.fit

    @property
    def is_closed(self) -> bool:
        """Whether the head was made in one go, without steps to choose among."""
        picked = self.fit and self.fit.picked
        return (picked or self.run.config.optimizer) == "ridge"

    def _repr_html_(self) -> str:
        parts = self.test.sheet_parts() if self.test else ("no test photos",)
        told = f"best of {self.last_step:,} steps at {self.best_step:,}, {self.seconds:.1f} s"
        return sheet(f"run {self.run.name}, on test", told, *parts)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": self.run.name,
            "folder": str(self.run.folder),
            "best_step": self.best_step,
            "last_step": self.last_step,
            "stopped_by": self.stopped_by,
            "steps_per_second": self.steps_per_second,
            "scores": self.fit and self.fit.to_dict(),
            "metrics": dict(self.run.metrics),
        }
