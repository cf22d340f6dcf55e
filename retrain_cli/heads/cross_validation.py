"""Cross-validation: each image is judged by a head that never saw it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.datasets.folds import NEVER, assign_folds, fold_validation
from retrain_cli.datasets.splits import SplitItem, find_components
from retrain_cli.evaluation.predictions import ImageTable, Predictions, chunks
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import TrainedHead, TrainingProgress
from retrain_cli.heads.sampling import select_training
from retrain_cli.heads.temperature import (
    FEWEST,
    ScoreFit,
    fit_temperature,
    platt_doubt,
)
from retrain_cli.heads.training import train_head
from retrain_cli.heads.validation import drawn, most_fitted, with_fitted_scores


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """Which image is held out when, and which ones choose the head meanwhile.

    Attributes:
        n_folds: number of folds.
        folds: `(n_images,) int32`, fold that holds the image out; -1 for none.
        validation: `(n_images,) bool`, images that choose the head while they are not held out.
        never_used: `(n_images,) bool`, images that neither train nor choose: given as test.
        groups: `(n_images,) int64`, images of equal number stay together.
    """

    n_folds: int
    folds: NDArray[np.int32]
    validation: NDArray[np.bool_]
    never_used: NDArray[np.bool_]
    groups: NDArray[np.int64]

    @classmethod
    def make(
        cls, items: Sequence[SplitItem], n_folds: int, validation: NDArray[np.bool_]
    ) -> FoldPlan:
        """Fold the images.

        Args:
            items: the images.
            n_folds: how many folds, at least 2.
            validation: `(n_images,)`, the images of the ordinary validation split.

        Raises:
            ConfigError: fewer than two folds.
            DatasetError: too few images for so many folds.
        """
        folds = assign_folds(items, n_folds)
        given_test = np.array([item.given == "test" for item in items])
        return cls(n_folds, folds, validation, given_test, find_components(items)[0])

    def data(self, data: HeadData, fold: int, config: TrainingConfig) -> HeadData:
        """What the head of a fold is trained on.

        The head is chosen by those images of the ordinary validation split that are not held out:
        choosing it by the images that measure it would flatter it.
        """
        away = (self.folds == fold) | self.never_used
        validation = fold_validation(away, self.validation, data.labels, self.groups)
        training = select_training(
            data.labels,
            np.flatnonzero(~away & ~validation),
            config.examples_per_class,
            config.seed,
        )
        chosen_by = np.flatnonzero(validation)
        spare = np.intersect1d(chosen_by, data.spare)
        return replace(data, training=training, validation=chosen_by, spare=spare)


@dataclass(frozen=True)
class FoldProgress:
    """Told after each evaluation: which fold, counted from 0, and how far its training is."""

    fold: int
    n_folds: int
    training: TrainingProgress


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The heads of the folds that were finished, and what they say about the images they missed.

    Attributes:
        plan: the folds.
        heads: the trained head of each finished fold; fewer than planned after an interruption.
    """

    plan: FoldPlan
    heads: tuple[TrainedHead, ...]

    def rows(self, fold: int) -> NDArray[np.int64]:
        """The images that a fold held out."""
        return np.flatnonzero(self.plan.folds == fold)

    def judged(self) -> NDArray[np.int64]:
        """The images that some head was asked about, in order."""
        folds = self.plan.folds
        return np.flatnonzero((folds != NEVER) & (folds < len(self.heads)))

    def probabilities(self, bottlenecks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Out-of-fold probabilities, `(n_images, n_classes) float32`.

        Rows of images that no head was asked about (`judged`) are NaN.

        Args:
            bottlenecks: `(n_images, width) float32`, those that were trained on.
        """
        result = np.full((len(bottlenecks), self._n_classes), np.nan, np.float32)
        for rows, probabilities in self.pieces(bottlenecks):
            result[rows] = probabilities
        return result

    def pieces(
        self, bottlenecks: NDArray[np.float32]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The same for the images that were judged, some rows at a time: which, and theirs."""
        for rows, head in self._asked():
            for part in chunks(len(rows), max(self._n_classes, bottlenecks.shape[1])):
                yield rows[part], head.probabilities(bottlenecks[rows[part]])

    def predictions(self, bottlenecks: NDArray[np.float32], images: ImageTable) -> Predictions:
        """Out-of-fold predictions of the images that were judged, in their order."""
        judged = self.judged()
        result = Predictions.blank(images.only(judged), self._n_classes)
        for rows, head in self._asked():
            result.fill(head, bottlenecks, rows, np.searchsorted(judged, rows))
        return result

    def fitted(self, trained: TrainedHead, data: HeadData) -> TrainedHead:
        """The head of all images, its scores fitted to what the folds' heads say of theirs.

        The head itself where fewer than 10 were judged, or no better than by chance.
        """
        chosen = drawn(self.judged(), most_fitted(self._n_classes), seed=0)
        asked = [(np.intersect1d(rows, chosen), head) for rows, head in self._asked()]
        pieces = [head.natural.logits(data.bottlenecks[rows]) for rows, head in asked]
        labels = np.concatenate([data.labels[rows] for rows, _ in asked])
        found = fit_temperature(pieces, labels, doubt=platt_doubt(len(labels)))
        if len(labels) < FEWEST or found is None:
            return trained
        fit = ScoreFit(found, len(labels), "left out")
        return replace(trained, head=trained.head.at_temperature(found), fit=fit)

    @property
    def _n_classes(self) -> int:
        return self.heads[0].head.n_classes

    def _asked(self) -> Iterator[tuple[NDArray[np.int64], Head]]:
        for fold, trained in enumerate(self.heads):
            yield self.rows(fold), trained.head


def cross_validate(
    data: HeadData,
    plan: FoldPlan,
    config: TrainingConfig,
    on_progress: Callable[[FoldProgress], None] = lambda progress: None,
    memory_limit: int | None = None,
    *,
    fitted: bool = False,
    alone: bool = True,
) -> OutOfFold:
    """Train one head for each fold, on the images of the others.

    Ctrl-C ends with the folds that are finished.

    Args:
        data: bottlenecks and labels; its own choice of training and validation images is not
            looked at.
        plan: the folds.
        config: the training settings, the same for every fold.
        on_progress: is told of each evaluation.
        memory_limit: as for `train_head`.
        fitted: whether the scores of each head are fitted to the validation images of its fold.
        alone: as for `train_head`.

    Raises:
        DatasetError: a fold leaves a class without training images.
        RetrainError: as `train_head`.
        KeyboardInterrupt: Ctrl-C came before the second fold was finished.
    """
    heads: list[TrainedHead] = []
    for fold in range(plan.n_folds):

        def listen(progress: TrainingProgress, fold: int = fold) -> None:
            on_progress(FoldProgress(fold, plan.n_folds, progress))

        part = plan.data(data, fold, config)
        trained = _trained(part, config, listen, memory_limit, alone=alone)
        if trained is None:
            break
        heads.append(with_fitted_scores(trained, part, config.seed) if fitted else trained)
    if len(heads) < 2:
        raise interrupts.interruption()
    return OutOfFold(plan, tuple(heads))


def _trained(
    data: HeadData,
    config: TrainingConfig,
    listen: Callable[[TrainingProgress], None],
    memory_limit: int | None,
    *,
    alone: bool,
) -> TrainedHead | None:
    """The head of a fold; None where training was interrupted, which makes it no measure."""
    try:
        trained = train_head(
            data, config, on_progress=listen, memory_limit=memory_limit, alone=alone
        )
    except KeyboardInterrupt:
        return None
    return None if trained.stopped_by == "interrupt" else trained
