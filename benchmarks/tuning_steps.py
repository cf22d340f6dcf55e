"""A step of `finetune` from the cache against TensorFlow's raw step on ready arrays, in turn.

    python -m benchmarks.tuning_steps --workspace WORK [--trainable last:3] [--rounds 9]

WORK holds bottlenecks of a network of the table; activations that lack are computed first. Both
train the same network with the same optimiser on the same batches of 32. The raw step is one
`tf.function` on float32 tensors that are there already; the step of `finetune` reads its batch from
the cache, too, by a thread ahead. The two take turns; what is told is the median of the ratios, by
the clock and in processor time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from retrain_cli.backbones.loader import loader_of
from retrain_cli.engine import load_tensorflow, quiet_engine
from retrain_cli.finetuning.batch_sources import BatchSource, read_ahead
from retrain_cli.finetuning.tuned_network import Schedule, TunedNetwork
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.head import Head
from retrain_cli.workflows.tuning.finetune import FinetuneSession
from retrain_cli.workflows.tuning.finetune_request import FinetuneRequest
from retrain_cli.workspace import Workspace

_BATCH = 32


def _took(work: Callable[[], None]) -> tuple[float, float]:
    busy, started = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - started, time.process_time() - busy


def raw_step(network: TunedNetwork) -> Callable[[Any, Any], Any]:
    """TensorFlow's own step of a network, compiled once."""
    tensorflow, model = load_tensorflow(), network._model
    loss_of = tensorflow.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tensorflow.function  # type: ignore[untyped-decorator]
    def step(values: Any, labels: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            loss = loss_of(labels, model(values, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step  # type: ignore[no-any-return]


def measure(session: FinetuneSession, source: BatchSource, steps: int, rounds: int) -> Any:
    """Both steps in turn, `rounds` times `steps` of each."""
    data, parts, tensorflow = session.data, session.parts, load_tensorflow()
    head = Head.initial(data.class_names, data.width, 0)
    network = TunedNetwork(parts.network, parts.spec, parts.point, head, session.request.tuning)
    network.compile(Schedule(1e-5, 1_000_000, 0))
    generator = np.random.default_rng(0)
    batches = [generator.choice(data.training, _BATCH) for _ in range(steps)]
    labels = [data.labels[rows].astype(np.int32) for rows in batches]
    ready = [
        (tensorflow.constant(source.read(rows)[0], tensorflow.float32), tensorflow.constant(own))
        for rows, own in zip(batches, labels, strict=True)
    ]
    step = raw_step(network)

    def cached() -> None:
        with closing(read_ahead(source, iter(batches))) as fed:
            for arrays, own in zip(fed, labels, strict=True):
                network.train(arrays, own)

    def raw() -> None:
        for values, own in ready:
            float(step(values, own))

    ways = {"cached": cached, "raw": raw}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name in ways if turn % 2 else reversed(ways):
            found = _took(ways[name])
            if turn:  # the first one compiles
                took[name].append(found)
    return {name: np.array(some) * 1000 / steps / _BATCH for name, some in took.items()}


def main() -> None:
    """Measure, and print a JSON document."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--trainable", default="last:3")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    workspace = Workspace(chosen.workspace)
    session = FinetuneSession.open(FinetuneRequest(TuningConfig(chosen.trainable)), workspace)
    with (
        quiet_engine(),
        session.source(loader_of(workspace), lambda stage, done, total: None) as source,
    ):
        took = measure(session, source, chosen.steps, chosen.rounds)
    ratios = (took["cached"] / took["raw"]).T.tolist()
    document = {
        f"{name}_ms_a_photo": [round(statistics.median(some), 2) for some in took[name].T.tolist()]
        for name in took
    }
    clock, busy = (
        {"median": round(statistics.median(some), 3), "all": sorted(round(one, 3) for one in some)}
        for some in ratios
    )
    print(json.dumps({**document, "ratio": clock, "processor_ratio": busy}, indent=1))


if __name__ == "__main__":
    main()
