"""Which photos are left unnamed: by a novelty and thresholds that a run's photos give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrain_cli.evaluation.curves.rejection import (
    Rejected,
    RejectionRule,
    choose_rule,
    no_validation_images,
)
from retrain_cli.heads.head import Head
from retrain_cli.runs.run import Run
from retrain_cli.similarity.novelty import NoveltyModel
from retrain_cli.workflows.shared.run_scores import cached_bottlenecks
from retrain_cli.workspace import Workspace


@dataclass(frozen=True, eq=False)
class Rejector:
    """A novelty score and the thresholds that validation gave.

    Attributes:
        model: tells how novel a photo is.
        rule: the thresholds.
        unknown_rejected: the share of photos of a class that is not there that they leave unnamed,
            0 to 1; see `_share_rejected_unknown`.
    """

    model: NoveltyModel
    rule: RejectionRule
    unknown_rejected: float

    @classmethod
    def of(cls, run: Run, workspace: Workspace, max_error: float, head: Head) -> Rejector:
        """Learn the novelty from the run's training photos, and the thresholds on validation.

        Args:
            run: the run.
            workspace: where its bottlenecks are.
            max_error: the share of the named photos that may be wrong.
            head: the run's head, for the prior that is asked for.

        Raises:
            RunError: no validation images, or an error rate that cannot be reached.
            CacheError: the bottlenecks of these photos are not cached any more.
        """
        predictions = run.predictions
        training, validation = predictions.rows("training"), predictions.rows("validation")
        both = cached_bottlenecks(run, np.concatenate([training, validation]), workspace)
        known, vectors = both[: len(training)], both[len(training) :]
        if not len(validation):
            raise no_validation_images()
        labels = predictions.images.labels[validation]
        model = NoveltyModel.fit(known, predictions.images.labels[training], vectors)
        classes, scores = head.top_k(vectors, 1)
        right = classes[:, 0] == labels
        rule = choose_rule(scores[:, 0], right, model(vectors), max_error)
        return cls(model, rule, _share_rejected_unknown(model, rule, head, vectors, labels))

    def judge(
        self, vectors: NDArray[np.float32], scores: NDArray[np.float32]
    ) -> list[tuple[float | None, Rejected | None]]:
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


def _share_rejected_unknown(
    model: NoveltyModel,
    rule: RejectionRule,
    head: Head,
    vectors: NDArray[np.float32],
    labels: NDArray[np.integer],
) -> float:
    """The share of known photos that would be left unnamed if their own class were not there.

    Each photo's class is taken out of the novelty and out of the head's softmax; nothing is trained
    anew. Photos of other kinds altogether are left unnamed more often than that, as a rule.

    Args:
        model: the novelty.
        rule: the thresholds.
        head: the head.
        vectors: `(n_images, width) float32` of photos that were not trained on.
        labels: `(n_images,)` their classes.
    """
    logs = head.log_probabilities(vectors).astype(np.float64)
    logs[np.arange(len(logs)), labels] = -np.inf
    best = logs.max(axis=1)
    scores = 1 / np.exp(logs - best[:, None]).sum(axis=1)
    rejected = (model(vectors, labels) > rule.most_novelty) | (scores < rule.least_score)
    return float(rejected.mean())
