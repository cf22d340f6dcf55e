"""How good settings are: by validation photos, or by cross-validation; never by test photos."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrain_cli.datasets.folds import NEVER
from retrain_cli.datasets.splits import SPLITS, SplitItem
from retrain_cli.errors import ConfigError, DatasetError, setting
from retrain_cli.evaluation.predictions import ImageTable
from retrain_cli.flags import flag_of
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.cross_validation import FoldPlan, cross_validate
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import MOST_IMAGES, Score, ValidationSet, with_fitted_scores
from retrain_cli.studies.trial import TrialContext

RankedBy = Literal["log-loss", "top1"]

_NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class SearchData:
    """What settings are tried on: a dataset in which nothing is known of the test photos.

    Attributes:
        data: bottlenecks and labels; those of test photos are of no class.
        folds: the folds of a cross-validation over all other photos; None where the validation
            photos judge.
        fingerprint: digest of the photos, their classes and splits or folds, test photos left out.
    """

    data: HeadData
    folds: FoldPlan | None
    fingerprint: str

    @classmethod
    def make(
        cls, data: HeadData, images: ImageTable, items: list[SplitItem], cv: int | None
    ) -> SearchData:
        """Blind a dataset to its test photos.

        Args:
            data: the dataset.
            images: the same rows, with their splits.
            items: the same rows as far as folds are concerned.
            cv: number of folds; None to judge by the validation photos.

        Raises:
            ConfigError: fewer than two folds.
            DatasetError: nothing to judge by.
        """
        is_test = images.split == SPLITS.index("test")
        labels = np.where(is_test, np.int32(_NO_LABEL), data.labels)
        blind = replace(data.without_spare() if cv is None else data, labels=labels)
        if cv is None:
            if not len(data.validation):
                raise DatasetError(
                    "a search chooses by validation photos and there are none: raise "
                    f"{setting('validation_percentage')}, or add {setting('cv', 5)}"
                )
            places = images.split.astype(np.int32)
            return cls(blind, None, _digest(images, labels, data.class_names, places))
        plan = _folds_without_test(items, images.split, cv)
        places = plan.folds * len(SPLITS) + images.split
        return cls(blind, plan, _digest(images, labels, data.class_names, places))

    @property
    def n_judging(self) -> int:
        """How many photos judge."""
        if self.folds is None:
            return min(len(self.data.validation), MOST_IMAGES)
        return int(np.count_nonzero(self.folds.folds != NEVER))

    def judge(
        self, config: TrainingConfig, context: TrialContext, *, alone: bool
    ) -> dict[str, Any]:
        """Train a head, or one for each fold, and measure it.

        Scores are fitted before they are measured, as `train` fits them. With folds the figures are
        those of all photos that were held out.

        Args:
            config: the settings.
            context: of the trial.
            alone: whether no other head is trained in this process meanwhile.

        Returns:
            `log_loss` and `top1`; or `diverged`, why training did not come to its end.
        """
        try:
            score = _measured(self._heads(config, context, alone=alone))
        except ConfigError as error:
            return {"diverged": error.worded(flag_of)}
        if not math.isfinite(score.loss):
            return {"diverged": "the log loss on the photos that judge is no number"}
        return {"log_loss": score.loss, "top1": score.accuracy}

    def _heads(
        self, config: TrainingConfig, context: TrialContext, *, alone: bool
    ) -> Iterator[tuple[Head, ValidationSet]]:
        """Each head and the photos that judge it."""
        data = _with_views(self.data, config.views or 0)
        if self.folds is None:
            trained = train_head(
                data,
                config,
                on_progress=context.on_progress,
                memory_limit=context.memory_limit,
                alone=alone,
            )
            fitted = with_fitted_scores(trained, data, config.seed)
            yield fitted.head, ValidationSet.of(data, config.seed)
            return
        judged = cross_validate(
            data,
            self.folds,
            config,
            lambda progress: context.on_progress(progress.training),
            context.memory_limit,
            fitted=True,
            alone=alone,
        )
        for fold, trained in enumerate(judged.heads):
            held_out = replace(data, validation=judged.rows(fold))
            yield trained.head, ValidationSet.of(held_out, config.seed)


def _folds_without_test(items: list[SplitItem], split: NDArray[np.uint8], n_folds: int) -> FoldPlan:
    """Folds of the photos that are not for the test; those take no part."""
    is_test = split == SPLITS.index("test")
    rows = np.flatnonzero(~is_test)
    validation = split[rows] == SPLITS.index("validation")
    plan = FoldPlan.make([items[row] for row in rows.tolist()], n_folds, validation)
    folds = np.full(len(items), NEVER, np.int32)
    is_validation = np.zeros(len(items), np.bool_)
    groups = np.arange(len(items), 2 * len(items), dtype=np.int64)  # each test photo alone
    folds[rows], is_validation[rows], groups[rows] = plan.folds, validation, plan.groups
    return FoldPlan(n_folds, folds, is_validation, is_test, groups)


def _measured(judged: Iterator[tuple[Head, ValidationSet]]) -> Score:
    """The figures of all photos that judge."""
    losses = hits = count = 0.0
    for head, images in judged:
        score = images.measure(head)
        assert score is not None  # there is no fold without photos
        losses += score.loss * len(images)
        hits += score.accuracy * len(images)
        count += len(images)
    return Score(losses / count, hits / count)


def _with_views(data: HeadData, count: int) -> HeadData:
    """The same with the first so many of its distorted views."""
    if data.views is None or count == data.n_views:
        return data
    return replace(data, views=data.views[: (1 + count) * len(data.labels)] if count else None)


def _digest(
    images: ImageTable,
    labels: NDArray[np.int32],
    names: tuple[str, ...],
    places: NDArray[np.int32],
) -> str:
    """Of the photos in whatever order; a photo without a label is not among them."""
    rows = sorted(
        f"{digest.tobytes().hex()} {place} {names[label]}"
        for digest, place, label in zip(
            images.digest, places.tolist(), labels.tolist(), strict=True
        )
        if label != _NO_LABEL
    )
    text = "\n".join(rows).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def rank_key(by: RankedBy, outcome: Mapping[str, Any]) -> tuple[float, float]:
    """Smaller is better: the log loss, of equals more right answers; or the other way round."""
    log_loss, wrong = outcome["log_loss"], -outcome["top1"]
    return (log_loss, wrong) if by == "log-loss" else (wrong, log_loss)
