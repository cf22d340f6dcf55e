"""`retrain label --reject`: which photos a run had better not name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.bottlenecks.novelty import NoveltyModel
from retrain_cli.evaluation.rejection import RejectionRule, choose_rule
from retrain_cli.heads.runs import Run
from retrain_cli.workflows.scores import cached_bottlenecks
from retrain_cli.workspace import Workspace

Rejected = Literal["novel", "unsure"]
"""Why a photo is not named: unlike the training photos, or like several classes of them."""


@dataclass(frozen=True, eq=False)
class Rejector:
    """A novelty score and the thresholds that validation gave."""

    model: NoveltyModel
    rule: RejectionRule

    @classmethod
    def of(cls, run: Run, workspace: Workspace, max_error: float) -> Rejector:
        """Learn the novelty from the run's training photos, and the thresholds on validation.

        Raises:
            RunError: no validation images, or an error rate that cannot be reached.
            CacheError: the bottlenecks of these photos are not cached any more.
        """
        predictions, head = run.predictions, run.head
        training, validation = predictions.rows("training"), predictions.rows("validation")
        both = cached_bottlenecks(run, np.concatenate([training, validation]), workspace)
        known, vectors = both[: len(training)], both[len(training) :]
        model = NoveltyModel.fit(known, predictions.images.labels[training])
        classes, scores = head.top_k(vectors, 1)
        right = classes[:, 0] == predictions.images.labels[validation]
        return cls(model, choose_rule(scores[:, 0], right, model(vectors), max_error))

    def judge(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> list[tuple[float, Rejected | None]]:
        """Novelty of each image, and why it should not be named, or None.

        Args:
            vectors: `(n_images, width) float32`.
            scores: `(n_images,)`, probability of the best class.
        """
        novelty = self.model(vectors)
        return [
            (value, self._reason(value, score))
            for value, score in zip(novelty.tolist(), scores.tolist(), strict=True)
        ]

    def _reason(self, novelty: float, score: float) -> Rejected | None:
        if novelty > self.rule.most_novelty:
            return "novel"
        return "unsure" if score < self.rule.least_score else None
