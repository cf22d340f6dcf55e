"""A trial that fine-tunes: what `finetune` does, and what it would be without its guard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import quiet_engine
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.finetuning.batch_sources import BatchSource
from retrain_cli.finetuning.epoch_state import EpochState, StateFile
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.phase_heads import first_head, last_head
from retrain_cli.finetuning.tuned_network import TunedNetwork
from retrain_cli.finetuning.tuning import Tuning, judge, vectors_of
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.validation import Score
from retrain_cli.studies.head_trial import count_test
from retrain_cli.studies.study_data import StudyData


@dataclass(frozen=True, eq=False)
class Bench:
    """A network ready to be fine-tuned, again and again from the same weights.

    Attributes:
        parts: the network, and where it is cut.
        source: the numbers of each photo of the dataset for the part that is trained.
        start: the network's weights before any training.
    """

    parts: Parts
    source: BatchSource
    start: list[NDArray[Any]]


@dataclass(frozen=True, eq=False)
class TunedTrial:
    """What one fine-tuning gave.

    Attributes:
        tuned: the data with the bottlenecks of the tuned network, and `head` for them.
        head: the last head.
        kept: whether the guard takes it rather than the head alone.
        best_epoch: which epoch it comes from.
        seconds: what the training took, without the pass over the test photos.
    """

    tuned: StudyData
    head: Head
    kept: bool
    best_epoch: int
    seconds: float

    def counts(self) -> EvalCounts:
        """Right answers of the tuned network on the test photos, whether it is kept or not."""
        return count_test(self.tuned, self.head)


def tune(
    bench: Bench, part: StudyData, alone: Head, config: TuningConfig, heed: Callable[[], None]
) -> TunedTrial:
    """Fine-tune as the command does; the best epoch is taken, and then judged against `alone`.

    Args:
        bench: the network.
        part: photos that train, validate and test, with bottlenecks of the network as it was.
        alone: the head that fine-tuning has to beat on the validation photos.
        config: the settings.
        heed: called at each step; what it raises ends the training.
    """
    started = time.perf_counter()
    data, parts = part.data, bench.parts
    parts.network.set_weights(bench.start)
    with quiet_engine():
        start = first_head(data, config.seed)
        network = TunedNetwork(parts.network, parts.spec, parts.point, start, config)
        training = Tuning(
            network,
            bench.source,
            data,
            config,
            _Unkept(),
            lambda progress: heed(),
            fresh=parts.streams,
        )
        result = training.run(_knows_nothing(start))
        trained_in = time.perf_counter() - started
        seen = np.concatenate([data.training, data.validation])
        rows = np.concatenate([seen, part.rows("test")])
        vectors = np.array(data.bottlenecks)
        started = time.perf_counter()
        vectors[rows] = vectors_of(network, bench.source, rows)
        passed_in = (time.perf_counter() - started) * len(seen) / len(rows)
        tuned = replace(part, data=replace(data, bottlenecks=vectors))
        started = time.perf_counter()
        head = last_head(network.head(), tuned.data)
        seconds = trained_in + passed_in + time.perf_counter() - started
    best = result.best
    own = None
    if best.validation_loss is not None and best.validation_accuracy is not None:
        own = Score(best.validation_loss, best.validation_accuracy)
    kept = result.best_epoch > 0 and _is_better(own, alone, part)
    return TunedTrial(tuned, head, kept, result.best_epoch, seconds)


def _is_better(own: Score | None, alone: Head, part: StudyData) -> bool:
    """The guard: whether the network is better than the head alone on the validation photos."""
    rows = part.data.validation
    other = judge(alone, part.data.bottlenecks[rows], part.data.labels[rows])
    return own is None or other is None or own.better_than(other)


def _knows_nothing(head: Head) -> Head:
    """A head that every epoch beats, so that the best epoch is known where the guard says no."""
    return replace(head, weights=np.zeros_like(head.weights), bias=np.zeros_like(head.bias))


class _Unkept(StateFile):
    """A trial is short, and begins anew where it was cut short."""

    def __init__(self) -> None:
        pass

    def save(self, state: EpochState) -> None:
        """See `StateFile`."""
