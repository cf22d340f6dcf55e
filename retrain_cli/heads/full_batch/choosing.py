"""`--optimizer auto`: which head suits these photos, by cross-validated log loss.

L-BFGS, with three weight decays, and ridge regression are judged on three folds, each with the
temperature that suits it. A weight decay that is behind by half a standard error after a fold is
not trained on the others. Adam has to be better than the best of them by more than chance on one
fold, with a tenth of its steps. It minimises what L-BFGS minimises: where ridge is far ahead of
that, it is not tried. Of L-BFGS a head of one fold goes on with all images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrain_cli import interrupts
from retrain_cli.heads.config import Optimizer, TrainingConfig
from retrain_cli.heads.data import HeadData
from retrain_cli.heads.full_batch.ridge import RidgePath
from retrain_cli.heads.full_batch.training_rows import TrainingRows
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import TrainedHead
from retrain_cli.heads.rows import vectors_of
from retrain_cli.heads.sampling import deal_evenly, select_training
from retrain_cli.heads.temperature import fit_temperature, platt_doubt

_FOLDS = 3
_DECAYS = (2e-4, 5e-5, 1e-5)  # of lbfgs, of the total variance; the heavier, the sooner done
_ADAM_STEPS = 1_000
_LBFGS_STEPS = 20  # from one weight decay to the next; convergence changes the losses no more
_ALL_STEPS = len(_DECAYS) * _LBFGS_STEPS

_ERRORS = 2  # standard ones, that Adam has to be ahead
_BEHIND = 0.5  # standard errors, that a weight decay is behind which no other fold is spent on
_FAR = 4  # standard errors: so far ahead, ridge needs no other fold, and is ahead of Adam, too
_FEWEST_OF_CLASS = 4
_MOST_IMAGES = 3_000  # of many, some tell the heads apart, and the rest would take minutes

Judged = tuple[NDArray[np.float64], float]
"""The loss of each image, and the temperature of the scores that they are of."""

Train = Callable[[HeadData, TrainingConfig, Head | None], TrainedHead]


@dataclass(frozen=True)
class PickedOptimizer:
    """What is picked, and why.

    Attributes:
        optimizer: adam, lbfgs or ridge.
        l2: the weight decay of lbfgs that was best.
        temperature: of the scores of lbfgs, by the images that its heads never saw.
        n_images: how many images judged.
        log_losses: cross-validated log loss of each optimiser.
        start: a head of one of the folds, which lbfgs goes on from; None where none was trained.
        steps: how many lbfgs takes then, to be as far as the heads that judged it.
    """

    optimizer: Optimizer
    l2: float
    temperature: float
    n_images: int
    log_losses: Mapping[str, float]
    start: Head | None
    steps: int


def choose_optimizer(
    data: HeadData, config: TrainingConfig, train: Train, memory_limit: int | None
) -> PickedOptimizer:
    """Pick an optimiser.

    Args:
        data: what is to be trained on.
        config: the settings, whose optimiser does not count.
        train: trains a head, from another one where that is given.
        memory_limit: as of `train_head`.

    Raises:
        KeyboardInterrupt: Ctrl-C came before there was a choice.
    """
    lbfgs, ridge = (replace(config, optimizer=name) for name in ("lbfgs", "ridge"))
    rows = _some(np.concatenate([data.training, data.spare]), data, config.seed)
    folds = deal_folds(rows, data, config.seed)
    judged, fold_of = rows[folds >= 0], folds[folds >= 0]
    labels = data.labels[judged]
    if not len(judged):  # one image in each class: nothing can be left out
        return PickedOptimizer("lbfgs", lbfgs.weight_decay, 1.0, 0, {}, None, _ALL_STEPS)
    whole = replace(data, training=rows, spare=rows[:0], validation=rows[:0])
    path = RidgePath(TrainingRows(whole, ridge, memory_limit), config.seed, judge_all=True)
    decays = [one * path.variance for one in _DECAYS] if config.l2 is None else [config.l2]
    ridge_losses = image_losses(_ridge_scores(path, config.l2, folds), labels)[0]
    race = _Race(whole, lbfgs, train, judged, fold_of)
    l2, (lbfgs_losses, temperature) = race.run(decays, ridge_losses)
    gap = lbfgs_losses - ridge_losses[race.seen]
    losses: dict[Optimizer, NDArray[np.float64]] = {"lbfgs": lbfgs_losses, "ridge": ridge_losses}
    means = {"ridge": float(ridge_losses.mean())}
    means["lbfgs"] = means["ridge"] + float(gap.mean())
    best: Optimizer = min(losses, key=lambda name: means[name])
    adam = None if _is_ahead(gap, _FAR) else _adam_losses(data, config, train, judged, fold_of)
    if adam is not None:
        gain = losses[best][fold_of == 0] - adam
        means["adam"] = means[best] - float(gain.mean())
        if _is_ahead(gain, _ERRORS):
            best = "adam"
    n_trained_on = len(data.training) + len(data.spare)
    return PickedOptimizer(
        best,
        l2,
        temperature,
        len(judged),
        {str(name): loss for name, loss in means.items()},
        race.heads[l2],
        _LBFGS_STEPS if len(rows) == n_trained_on else _ALL_STEPS,
    )


def _is_ahead(gain: NDArray[np.float64], errors: float) -> bool:
    """Whether the mean of a gain in log loss is above 0 by so many standard errors."""
    return bool(gain.mean() > errors * gain.std() / np.sqrt(len(gain)))


def _some(rows: NDArray[np.int64], data: HeadData, seed: int) -> NDArray[np.int64]:
    """Of many images as many of each class, so that none is without."""
    per_class = None
    if len(rows) > _MOST_IMAGES:
        per_class = max(_FEWEST_OF_CLASS, _MOST_IMAGES // data.n_classes)
    return select_training(data.labels, np.sort(rows), per_class, seed)


def deal_folds(rows: NDArray[np.int64], data: HeadData, seed: int) -> NDArray[np.int64]:
    """The fold of each row, `(n_rows,)`; -1 where its class would have nothing to train on.

    Groups stay together; each class is dealt out evenly, in random order.
    """
    labels = data.labels[rows]
    groups = rows if data.groups is None else data.groups[rows]
    folds = deal_evenly(labels, groups, _FOLDS, [seed, 0xF01D])
    classes, _ = np.unique(np.stack([labels, folds]), axis=1)
    n_groups = np.bincount(classes, minlength=data.n_classes)
    return np.where(n_groups[labels] > 1, folds, -1)


class _Race:
    """Heads of L-BFGS, one for each weight decay, fold after fold.

    Attributes:
        seen: `(n_judged,)`, the images of the folds that were run.
        heads: of each weight decay the one of the latest fold.
    """

    def __init__(
        self,
        data: HeadData,
        config: TrainingConfig,
        train: Train,
        judged: NDArray[np.int64],
        fold_of: NDArray[np.int64],
    ) -> None:
        self._data, self._config, self._train = data, config, train
        self._judged, self._fold_of = judged, fold_of
        self._scores: dict[float, NDArray[np.float64]] = {}
        self.seen = np.zeros(len(judged), bool)
        self.heads: dict[float, Head] = {}

    def run(
        self, decays: Sequence[float], ridge_losses: NDArray[np.float64]
    ) -> tuple[float, Judged]:
        """Train for all folds what is not behind, heavier weight decays first; the best one."""
        self._scores = {l2: np.empty((len(self._judged), self._data.n_classes)) for l2 in decays}
        for fold in np.unique(self._fold_of).tolist():
            self._run_fold(fold)
            judged = self._judge()
            best = min(judged, key=lambda l2: float(judged[l2][0].mean()))
            losses = judged[best][0]
            if _is_ahead(losses - ridge_losses[self.seen], _FAR):
                break
            for l2, (others, _) in judged.items():
                if _is_ahead(others - losses, _BEHIND):
                    del self._scores[l2]
        return best, judged[best]

    def _judge(self) -> dict[float, Judged]:
        """Of each weight decay, by the images seen."""
        labels = self._data.labels[self._judged[self.seen]]
        return {l2: image_losses(scores[self.seen], labels) for l2, scores in self._scores.items()}

    def _run_fold(self, fold: int) -> None:
        places = self._fold_of == fold
        away = self._judged[places]
        part = replace(self._data, training=np.setdiff1d(self._data.training, away))
        head, steps = None, min(self._config.steps, _LBFGS_STEPS)
        for l2, scores in self._scores.items():
            trained = self._train(part, replace(self._config, l2=l2, steps=steps), head)
            scores[places] = _logits(trained, self._data, away)
            head = self.heads[l2] = trained.head
        self.seen |= places


def _logits(trained: TrainedHead, data: HeadData, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    if trained.stopped_by == "interrupt":  # half a head is no measure
        raise interrupts.interruption()
    return trained.head.logits(vectors_of(data, rows))


def _ridge_scores(
    path: RidgePath, l2: float | None, folds: NDArray[np.int64]
) -> NDArray[np.float64]:
    l2 = path.choose(l2).l2
    result = np.empty((len(folds), path.n_classes))
    for fold in np.unique(folds[folds >= 0]).tolist():
        places = np.flatnonzero(folds == fold)
        result[places] = path.held_out(l2, places)
    return result[folds >= 0]


def _adam_losses(
    data: HeadData,
    config: TrainingConfig,
    train: Train,
    judged: NDArray[np.int64],
    fold_of: NDArray[np.int64],
) -> NDArray[np.float64] | None:
    """Loss of Adam for each image of the first fold; None where that leaves it nothing."""
    away = judged[fold_of == 0]
    training = np.setdiff1d(data.training, away)
    n_classes = len(np.unique(data.labels[training]))
    if n_classes < data.n_classes:
        return None
    part = replace(data, training=training, validation=np.setdiff1d(data.validation, away))
    steps = min(config.steps, _ADAM_STEPS)
    settings = replace(config, optimizer="adam", steps=steps, patience=None)
    logits = _logits(train(part, settings, None), data, away)
    return image_losses(logits, data.labels[away])[0]


def image_losses(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> Judged:
    """Log loss of each image at the temperature that suits all of them, and that temperature."""
    found = fit_temperature([logits], labels, doubt=platt_doubt(len(labels)), fine=1e-4)
    temperature = 1.0 if found is None else found
    own = np.take_along_axis(logits, labels[:, None].astype(np.int64), axis=1)
    above = (logits.astype(np.float64) - own) / temperature
    most = above.max(axis=1)
    losses: NDArray[np.float64] = most + np.log(np.exp(above - most[:, None]).sum(axis=1))
    return losses, temperature
