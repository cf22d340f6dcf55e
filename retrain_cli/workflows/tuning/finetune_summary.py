"""What `retrain finetune` did, for people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retrain_cli.datasets.splits import Split
from retrain_cli.evaluation.figures import HEADLINES
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.finetuning.freeze_points import FreezePoint
from retrain_cli.finetuning.tuning import TuningResult
from retrain_cli.notebook.sheets import Grid, sheet
from retrain_cli.runs.run import Run

JUDGED: tuple[Split, ...] = ("validation", "test")
"""The splits that the head alone and what was kept are compared on."""


@dataclass(frozen=True, eq=False)
class FinetuneSummary:
    """What `finetune` did.

    Attributes:
        run: the finished run.
        result: epochs, and which was kept.
        point: what was trained.
        trained_numbers: how many numbers of the network, head included.
        learning_rate: its peak.
        before: figures of the head alone on validation and test; None of a split without photos.
        kept: figures of what was kept.
        seconds: of each stage, by its name.
        interrupted_by: number of the signal that asked to end; the run is kept all the same.
    """

    run: Run
    result: TuningResult
    point: FreezePoint
    trained_numbers: int
    learning_rate: float
    before: dict[Split, EvalResult | None]
    kept: dict[Split, EvalResult | None]
    seconds: dict[str, float]
    interrupted_by: int | None = None

    @property
    def won(self) -> bool:
        """Whether the fine-tuned backbone was kept."""
        return self.result.best_epoch > 0

    def _repr_html_(self) -> str:
        kept = "the fine-tuned backbone" if self.won else "the head alone, which was as good"
        rows = [[one, _top1(self.before[one]), _top1(self.kept[one])] for one in JUDGED]
        return sheet(
            f"run {self.run.name}",
            f"kept is {kept}; epoch {self.result.best_epoch} of {self.result.epochs}, "
            f"{self.trained_numbers:,} numbers trained, {sum(self.seconds.values()):.0f} s",
            Grid(("top-1 of all", "head alone", "kept"), rows),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "run": self.run.name,
            "folder": str(self.run.folder),
            "kept": "fine-tuned" if self.won else "head",
            "freeze_point": self.point.cut,
            "trained_numbers": self.trained_numbers,
            "learning_rate": self.learning_rate,
            "best_epoch": self.result.best_epoch,
            "epochs": self.result.epochs,
            "stopped_by": self.result.stopped_by,
            "top1": {
                split: {"head": _top1(self.before[split]), "kept": _top1(self.kept[split])}
                for split in JUDGED
            },
            "seconds": self.seconds,
            "metrics": dict(self.run.metrics),
        }


def _top1(result: EvalResult | None) -> float | None:
    if result is None:
        return None
    share = next(one for one in HEADLINES if one.name == "top1").of(result)
    return None if share is None else share.value
