"""A pre-trained backbone in the place of the paper's network: its schemes are then fine-tuning."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.finetuning.batch_sources import BatchSource, read_ahead
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.tuned_network import Schedule, TunedNetwork
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.head import Head
from retrain_cli.studies.source_target.lessons import Heed, LearningRules, Rows

TRAINED, TRAINED_AGAIN = "last:2", "last:1"
"""Blocks that schemes 1 to 3 train, with the head; and those that scheme 4 trains again."""
_AT_ONCE = 64


def tuning_of(rules: LearningRules, seed: int = 0) -> TuningConfig:
    """The paper's settings as those of a fine-tuning."""
    return TuningConfig(
        trainable=TRAINED,
        epochs=rules.epochs,
        learning_rate=rules.learning_rate,
        optimizer="rmsprop",
        batch_size=rules.batch_size,
        warm_up=0.0,
        schedule="constant",
        seed=seed,
    )


class BackboneSchool:
    """The backbone, from its pre-trained weights, with a new head; one pupil at a time.

    Args:
        parts: the network, cut below its last blocks.
        source: the activations at the cut.
        rules: how it is trained.
    """

    def __init__(self, parts: Parts, source: BatchSource, rules: LearningRules) -> None:
        self._parts, self._source, self._rules = parts, source, rules.validate()
        self._start = [np.array(one) for one in parts.network.get_weights()]

    def pupil(
        self, labels: NDArray[np.int32], n_classes: int, seed: int, heed: Heed
    ) -> BackbonePupil:
        """See `School`; the network's weights are those of the start again."""
        self._parts.network.set_weights(self._start)
        return BackbonePupil(self._parts, self._source, self._rules, labels, n_classes, seed, heed)


class BackbonePupil:
    """See `Pupil`."""

    def __init__(
        self,
        parts: Parts,
        source: BatchSource,
        rules: LearningRules,
        labels: NDArray[np.int32],
        n_classes: int,
        seed: int,
        heed: Heed,
    ) -> None:
        self._parts, self._source, self._rules = parts, source, rules
        self._labels, self._heed, self._seed = labels, heed, seed
        self._generator = np.random.default_rng(seed)
        names = tuple(map(str, range(n_classes)))
        shape = parts.network.output.shape[1:]
        width = int(np.prod(shape)) if parts.spec.pooling == "none" else int(shape[-1])
        self._net = self._network(parts.point, Head.initial(names, width, seed))

    def learn(self, rows: Rows) -> None:
        """See `Pupil`."""
        self._train(rows)

    def relearn_top(self, rows: Rows) -> None:
        """See `Pupil`: the last block and the head."""
        above = choose_freeze_point(self._parts.network, TRAINED_AGAIN).trained
        point = replace(self._parts.point, trained=above)  # the activations stay those of the cut
        self._net = self._network(point, self._net.head())
        self._train(rows)

    def logits(self, rows: Rows) -> NDArray[np.float32]:
        """See `Pupil`."""
        head, parts = self._net.head(), []
        for start in range(0, len(rows), _AT_ONCE):
            self._heed()
            vectors = self._net.vectors(self._source.read(rows[start : start + _AT_ONCE]))
            parts.append(head.logits(vectors))
        return np.concatenate(parts)

    def _network(self, point: Any, head: Head) -> TunedNetwork:
        config = tuning_of(self._rules, self._seed)
        return TunedNetwork(self._parts.network, self._parts.spec, point, head, config)

    def _train(self, rows: Rows) -> None:
        batches = list(self._rules.batches(rows, self._generator))
        schedule = Schedule.of(
            tuning_of(self._rules, self._seed), self._rules.learning_rate, len(batches)
        )
        self._net.compile(schedule)
        for batch, arrays in zip(batches, read_ahead(self._source, batches), strict=True):
            self._heed()
            self._net.train(arrays, self._labels[batch])
