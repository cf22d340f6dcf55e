"""A small network in the place of a backbone: a trial fine-tunes, and begins anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from small_networks import small_network

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.parts import Parts
from retrain_cli.finetuning.tuning_config import TuningConfig
from retrain_cli.heads.head import Head
from retrain_cli.studies.strategies.tuned_trials import Bench, tune

SPEC = BackboneSpec("mobilenet", input_size=32, weights="random", runtime="keras")
CONFIG = TuningConfig("from:stem_relu", epochs=4, learning_rate=0.01, batch_size=8)


class Activations:
    """Activations that tell their class by their sign."""

    def __init__(self, labels: Any, shape: tuple[int, ...]) -> None:
        noise = np.random.default_rng(1).normal(size=(len(labels), *shape))
        self.values = (noise + np.where(labels, 2, -2)[:, None, None, None]).astype("f2")

    def read(self, rows: Any) -> Any:
        return [self.values[rows]]


def test_the_network_learns_is_judged_by_the_guard_and_begins_anew(
    make_data: Callable[..., Any],
) -> None:
    data = make_data(1, 1)
    network = small_network()
    parts = Parts(SPEC, network, choose_freeze_point(network, CONFIG.trainable), CONFIG)
    source: Any = Activations(data.data.labels, parts.point.shape)
    start = [np.array(one) for one in network.get_weights()]
    width = int(network.output.shape[-1])
    blind = np.zeros((len(data.data.labels), width), np.float32)
    part = replace(data, data=replace(data.data, bottlenecks=blind))
    bench, heeded = Bench(parts, source, start), []
    ignorant = Head(data.class_names, np.zeros((width, 2), np.float32), np.zeros(2, np.float32))

    first = tune(bench, part, ignorant, CONFIG, lambda: heeded.append(1))
    assert first.kept
    assert first.best_epoch > 0
    assert first.counts().hits[:, 0].tolist() == first.counts().n_images.tolist()
    assert len(heeded) >= 4
    assert first.seconds > 0
    assert not part.data.bottlenecks.any()  # the vectors of before stay what they were

    # A head that is sure and right on validation is beaten by no network.
    known = np.where(data.data.labels[:, None] == 0, 9.0, -9.0) * np.ones(width)
    sure = replace(part, data=replace(part.data, bottlenecks=known.astype(np.float32)))
    right = Head(data.class_names, np.stack([np.ones(width), -np.ones(width)], 1).astype("f4"),
                 np.zeros(2, np.float32))  # fmt: skip
    again = tune(bench, sure, right, CONFIG, lambda: None)
    assert not again.kept
    assert again.best_epoch > 0  # and what it would have been is known all the same
    assert again.counts().hits.sum() > 0

    # The network was built once, and the same trial gives the same numbers.
    assert first.building is not None
    assert again.building is None
    same = tune(bench, part, ignorant, CONFIG, lambda: None)
    assert same.building is None
    assert np.allclose(same.head.weights, first.head.weights, atol=1e-4)
    other = tune(bench, part, ignorant, replace(CONFIG, epochs=2), lambda: None)
    assert other.building is not None
