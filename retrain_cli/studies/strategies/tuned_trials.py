"""A trial that fine-tunes: what `finetune` does, and what it would be without its guard."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrain_cli.engine import quiet_engine
from retrain_cli.evaluation.counts import EvalCounts
from retrain_cli.finetuning.batch_sources import BatchSource
from retrain_cli.finetuning.epoch_state import EpochState, StateFile
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.phase_heads import first_head, last_head
from retrain_cli.finetuning.tuned_network import Arrays, Schedule, TunedNetwork
from retrain_cli.finetuning.tuning import ROWS_AT_ONCE, Tuning, judge, vectors_of
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.head import Head
from retrain_cli.heads.history import HistoryRow
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
        held: the network that the last trial trained; the repeats of a condition share it, for to
            build one takes longer than to train it on a few photos.
    """

    parts: Parts
    source: BatchSource
    start: list[NDArray[Any]]
    held: list[ReadyNetwork] = field(default_factory=list)

    def network(self, config: TuningConfig, head: Head) -> tuple[ReadyNetwork, bool]:
        """A network with the weights of the start and this head, and whether it was built now."""
        self.parts.network.set_weights(self.start)
        key = (replace(config, seed=0), head.labels)
        if self.held and self.held[0].key == key:
            self.held[0].set_head(head)
            return self.held[0], False
        self.held[:] = [ReadyNetwork(self.parts, head, config, key)]
        return self.held[0], True


class ReadyNetwork(TunedNetwork):
    """A network that is compiled once for the same schedule.

    Args:
        parts: the network, and where it is cut.
        head: where the softmax starts.
        config: the settings.
        key: what another trial has to have in common with this one to take it.
    """

    def __init__(self, parts: Parts, head: Head, config: TuningConfig, key: Any) -> None:
        super().__init__(parts.network, parts.spec, parts.point, head, config)
        self.key = key
        self._ready: Schedule | None = None
        self._fresh: Arrays = []

    def compile(self, schedule: Schedule) -> None:
        """See `TunedNetwork`; the optimiser is a fresh one in any case."""
        if self._ready == schedule:
            self.set_optimizer_state(self._fresh)
            return
        super().compile(schedule)
        self._ready, self._fresh = schedule, self.optimizer_state()


@dataclass(frozen=True, eq=False)
class TunedTrial:
    """What one fine-tuning gave.

    Attributes:
        tuned: the data with the bottlenecks of the tuned network, and `head` for them.
        head: the last head.
        kept: whether the guard takes it rather than the head alone.
        best_epoch: which epoch it comes from.
        seconds: what the training took, without the pass over the test photos.
        building: what it took to build and compile the network; None where that was done before.
    """

    tuned: StudyData
    head: Head
    kept: bool
    best_epoch: int
    seconds: float
    building: float | None

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
    data, parts = part.data, bench.parts
    with quiet_engine():
        started = time.perf_counter()
        start = first_head(data, config.seed)
        head_in = time.perf_counter() - started
        started = time.perf_counter()
        network, is_new = bench.network(config, start)
        training = Tuning(
            network,
            bench.source,
            data,
            config,
            _Unkept(),
            lambda progress: heed(),
            fresh=parts.streams,
        )
        if is_new:
            _compile(network, bench, part, config, training.steps)
            network.set_head(start)
        building = time.perf_counter() - started if is_new else None
        started = time.perf_counter()
        result = training.run(_knows_nothing(start))
        trained_in = head_in + time.perf_counter() - started
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
    kept = result.best_epoch > 0 and _is_better(result.best, alone, part)
    return TunedTrial(tuned, head, kept, result.best_epoch, seconds, building)


def _compile(
    network: ReadyNetwork, bench: Bench, part: StudyData, config: TuningConfig, steps: int
) -> None:
    """Compile by a step and a pass, so that no time of a training is that of the engine."""
    data = part.data
    rate = config.rate_for(len(data.training), data.n_classes)
    network.compile(Schedule.of(config, rate, steps * config.epochs))
    rows = data.training[: config.batch_size]  # as many as the batches of a training have
    network.train(bench.source.read(rows), data.labels[rows])
    seen = np.concatenate([data.training, data.validation, part.rows("test")])
    for some in (data.validation, seen[:ROWS_AT_ONCE]):
        vectors_of(network, bench.source, some)
    bench.parts.network.set_weights(bench.start)


def _is_better(best: HistoryRow, alone: Head, part: StudyData) -> bool:
    """The guard: whether the network is better than the head alone on the validation photos."""
    own = None
    if best.validation_loss is not None and best.validation_accuracy is not None:
        own = Score(best.validation_loss, best.validation_accuracy)
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
