"""What networks have to beat: trees on pixels, a small network, and what needs no network at all.

Trees see 80% of the photos, training and validation together, as Patel (2019) has them; so do the
majority class and the nearest class mean, which choose nothing by validation either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.errors import ConfigError, MissingExtraError, setting
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.heads.training import train_head
from retrain_cli.parallel import usable_processors
from retrain_cli.studies.freezing.early_stop import FreezeRules, Rows, train_until_stop
from retrain_cli.studies.source_target.lessons import LearningRules
from retrain_cli.studies.source_target.paper_network import PaperPupil, PaperSchool, PixelShelf
from retrain_cli.studies.study_data import StudyData
from retrain_cli.studies.trial import TrialContext

BASELINES = {
    "tree": "decision tree",
    "forest": "random forest",
    "cnn": "small CNN",
    "majority": "majority class",
    "nearest": "nearest mean",
    "softmax": "softmax head",
}
"""By their name as an option: how tables call them."""
INPUTS = {
    "tree": "pixels",
    "forest": "pixels",
    "cnn": "pixels",
    "majority": "nothing",
    "nearest": "bottlenecks",
    "softmax": "bottlenecks",
}
"""What each looks at."""

_TREES = ("tree", "forest")
_ON_PIXELS = (*_TREES, "cnn")


def check_baselines(names: Sequence[str]) -> None:
    """Refuse baselines that do not exist, or that cannot be computed here.

    Raises:
        ConfigError: a name that no baseline has.
        MissingExtraError: trees without scikit-learn.
    """
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise ConfigError(
            f"{setting('baselines')} takes {', '.join(BASELINES)}, or none; received "
            f"{', '.join(unknown)}"
        )
    if any(name in names for name in _TREES) and find_spec("sklearn") is None:
        rest = ",".join(name for name in names if name not in _TREES) or "none"
        raise MissingExtraError(
            f"decision trees and random forests, which {setting('baselines', rest)} leaves out,",
            "map",
        )


class PixelBaselines:
    """Answers of the baselines; one at a time.

    Args:
        paths: of each photo of the dataset.
        rules: when the small network stops.
    """

    def __init__(self, paths: Sequence[PurePath], rules: FreezeRules) -> None:
        rest = ",".join(name for name in BASELINES if name not in _ON_PIXELS)
        remedy = f"take {setting('baselines', rest)} alone"
        self._shelf, self._rules = PixelShelf(paths, remedy), rules
        self._school = PaperSchool(self._shelf, LearningRules(1, batch_size=rules.batch_size))

    def answers(
        self, name: str, part: StudyData, seed: int, context: TrialContext, heed: Callable[[], None]
    ) -> tuple[NDArray[np.int64], dict[str, Any]]:
        """The answers on the test photos, and what else is to be told.

        Args:
            name: a key of `BASELINES`.
            part: the photos, split.
            seed: of everything random.
            context: of the trial.
            heed: is called between steps; what it raises ends the training.
        """
        if name in _ON_PIXELS:
            self._shelf.need(np.arange(len(part.data.labels)))
        if name == "cnn":
            return self._small_network(part, seed, heed)
        if name == "softmax":
            return _softmax(part, seed, context)
        heed()
        rows, test = known_rows(part), part.rows("test")
        told = {"trained_on": len(rows)}
        if name in _TREES:
            found = self._tree(name, part.data.labels[rows], rows, test, seed)
        elif name == "nearest":
            found = nearest_mean(part, rows, test)
        else:
            labels = part.data.labels[rows]
            most = np.bincount(labels, minlength=part.data.n_classes).argmax()
            found = np.full(len(test), most)
        return found.astype(np.int64), told

    def _tree(
        self, name: str, labels: NDArray[np.int32], rows: Rows, test: Rows, seed: int
    ) -> NDArray[np.integer]:
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.tree import DecisionTreeClassifier

        made: Any = DecisionTreeClassifier(random_state=seed)
        if name == "forest":
            made = RandomForestClassifier(random_state=seed, n_jobs=usable_processors())
        made.fit(self._flat(rows), labels)
        found: NDArray[np.integer] = made.predict(self._flat(test))
        return found

    def _flat(self, rows: Rows) -> NDArray[np.uint8]:
        return self._shelf.read(rows).reshape(len(rows), -1)

    def _small_network(
        self, part: StudyData, seed: int, heed: Callable[[], None]
    ) -> tuple[NDArray[np.int64], dict[str, Any]]:
        data = part.data
        pupil = self._school.pupil(data.labels, data.n_classes, seed, heed)
        learner = _SmallNetwork(pupil, data.training)
        rules = self._rules
        trained = train_until_stop(learner, data, rules.epochs, rules.patience, heed)
        answers = learner.logits(part.rows("test")).argmax(axis=1)
        told = {"trained_on": len(data.training), "training": trained.to_dict()}
        return answers.astype(np.int64), told


class _SmallNetwork:
    """The network of `study source-target` as an `EpochLearner`."""

    def __init__(self, pupil: PaperPupil, rows: Rows) -> None:
        self._pupil, self._rows = pupil, rows

    def learn(self, epoch: int) -> tuple[float, float]:
        """See `EpochLearner`; what the steps gave is not told."""
        self._pupil.learn(self._rows)
        return 0.0, 0.0

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """See `EpochLearner`."""
        return self._pupil.logits(rows)

    def weights(self) -> list[NDArray[Any]]:
        """See `EpochLearner`."""
        return [np.array(one) for part in self._pupil.parts for one in part.get_weights()]

    def set_weights(self, weights: list[NDArray[Any]]) -> None:
        """See `EpochLearner`."""
        body, top = self._pupil.parts
        count = len(body.get_weights())
        body.set_weights(weights[:count])
        top.set_weights(weights[count:])


def known_rows(part: StudyData) -> Rows:
    """Training and validation photos together."""
    return np.union1d(part.data.training, part.data.validation)


def nearest_mean(part: StudyData, rows: Rows, test: Rows) -> NDArray[np.int64]:
    """The class whose mean bottleneck is nearest, by Euclid."""
    data = part.data
    vectors, labels = data.bottlenecks[rows], data.labels[rows]
    means = np.array([vectors[labels == one].mean(axis=0) for one in range(data.n_classes)])
    # |x - m|^2 = |x|^2 - 2 x m + |m|^2, of which the first is the same for all classes.
    scores = data.bottlenecks[test] @ means.T - (means**2).sum(axis=1) / 2
    found: NDArray[np.int64] = scores.argmax(axis=1)
    return found


def _softmax(
    part: StudyData, seed: int, context: TrialContext
) -> tuple[NDArray[np.int64], dict[str, Any]]:
    """A softmax layer on bottlenecks, which `train` trains: the whole network frozen."""
    config = TrainingConfig(optimizer="lbfgs", seed=seed)
    head = train_head(
        part.data, config, memory_limit=context.memory_limit, on_progress=context.on_progress
    ).head
    answers = head.logits(part.data.bottlenecks[part.rows("test")]).argmax(axis=1)
    return answers.astype(np.int64), {"trained_on": len(part.data.training)}
