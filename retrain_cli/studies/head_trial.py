"""The usual trial: train a head, count its right answers on the test images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.evaluation.predictions import predict
from retrain_cli.evaluation.result import EvalResult
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import TrainedHead
from retrain_cli.heads.training import train_head
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import Trial, TrialContext


@dataclass(frozen=True, eq=False)
class HeadOutcome:
    """What a trained head reached.

    Attributes:
        class_names: its classes.
        trained_on: number of training images.
        counts: counts over the test images.
        best_step: the step that the head comes from.
        last_step: the last step that was made.
        validation_top1: share of right answers on validation; None without validation images.
        validation_loss: log loss on validation; None likewise.
    """

    class_names: tuple[str, ...]
    trained_on: int
    counts: EvalCounts
    best_step: int
    last_step: int
    validation_top1: float | None
    validation_loss: float | None = None

    @classmethod
    def of(cls, part: StudyData, trained: TrainedHead) -> HeadOutcome:
        """Measure a trained head on the test images of its classes."""
        best = [row for row in trained.history if row.step == trained.best_step]
        return cls(
            part.class_names,
            len(part.data.training),
            count_test(part, trained.head),
            trained.best_step,
            trained.history[-1].step,
            best[0].validation_accuracy if best else None,
            best[0].validation_loss if best else None,
        )

    def result(self, data: StudyData) -> EvalResult:
        """Every figure; `data` knows which of the classes are INT."""
        origin_of = {entry.class_name: entry for entry in data.origins}
        return EvalResult.from_counts(self.counts, [origin_of[name] for name in self.class_names])

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        pairs = np.column_stack([self.counts.pairs, self.counts.pair_counts])
        return {
            "classes": list(self.class_names),
            "trained_on": self.trained_on,
            "best_step": self.best_step,
            "last_step": self.last_step,
            "validation_top1": self.validation_top1,
            "validation_loss": self.validation_loss,
            "ks": list(self.counts.ks),
            "n_images": self.counts.n_images.tolist(),
            "hits": self.counts.hits.tolist(),
            "pairs": pairs.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> HeadOutcome:
        """The inverse of `to_dict`."""
        pairs = np.array(values["pairs"], np.int64).reshape(-1, 3)
        hits = np.array(values["hits"], np.int64).reshape(-1, len(values["ks"]))
        counts = EvalCounts(
            tuple(values["ks"]),
            np.array(values["n_images"], np.int64),
            hits,
            pairs[:, :2].astype(np.int32),
            pairs[:, 2],
        )
        return cls(
            tuple(values["classes"]),
            values["trained_on"],
            counts,
            values["best_step"],
            values["last_step"],
            values["validation_top1"],
            values.get("validation_loss"),
        )


def count_test(part: StudyData, head: Head) -> EvalCounts:
    """Top-1 and top-5 counts of a head of the part's classes over its test images."""
    images = part.test_images()
    predictions = predict(head, part.data.bottlenecks[part.rows("test")], images)
    return EvalCounts.from_predictions(predictions, "test")


def train_and_count(data: StudyData, trial: Trial, context: TrialContext) -> dict[str, Any]:
    """Train the head of a trial and count; the outcome reads back with `HeadOutcome.from_dict`."""
    part = data.select(trial.config)
    trained = train_head(
        part.data,
        trial.config,
        on_progress=context.on_progress,
        memory_limit=context.memory_limit,
        alone=False,
    )
    return HeadOutcome.of(part, trained).to_dict()
