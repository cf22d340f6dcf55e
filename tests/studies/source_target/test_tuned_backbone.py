"""A small backbone in the place of the paper's network: what is trained in which scheme."""

from __future__ import annotations

from typing import Any

import numpy as np
from small_networks import small_network

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.parts import Parts
from retrain_cli.studies.source_target.lessons import LearningRules, SchemeScore
from retrain_cli.studies.source_target.tuned_backbone import (
    TRAINED_AGAIN,
    BackboneSchool,
    tuning_of,
)

SPEC = BackboneSpec("mobilenet", input_size=32, weights="random", runtime="keras")
RULES = LearningRules(epochs=10, learning_rate=0.01, batch_size=8)
COUNT = 40


class Activations:
    """Activations that tell their class by their sign."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        generator = np.random.default_rng(1)
        self.labels = generator.integers(0, 2, COUNT).astype(np.int32)
        noise = generator.normal(size=(COUNT, *shape))
        self._values = (noise + np.where(self.labels, 2, -2)[:, None, None, None]).astype("f2")

    def read(self, rows: Any) -> Any:
        return [self._values[rows]]


def weights_of(network: Any) -> dict[str, Any]:
    return {
        f"{layer.name}/{number}": np.array(one)
        for layer in network.layers
        for number, one in enumerate(layer.get_weights())
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    found = {name.partition("/")[0] for name in before if (before[name] != after[name]).any()}
    return {name for name in found if not name.endswith("norm")}


def test_the_last_blocks_learn_then_the_last_one_alone() -> None:
    network = small_network()
    config = tuning_of(RULES)
    parts = Parts(SPEC, network, choose_freeze_point(network, "from:stem_relu"), config)
    source = Activations(parts.point.shape)
    school = BackboneSchool(parts, source, RULES)
    rows, heeded = np.arange(COUNT), []
    start = weights_of(network)
    pupil = school.pupil(source.labels, 2, 0, lambda: heeded.append(1))
    pupil.learn(rows[::2])
    learned = weights_of(network)
    last = choose_freeze_point(network, TRAINED_AGAIN).trained
    trained = changed(start, learned)
    assert trained > {name for name in last if not name.endswith("norm")}
    assert trained <= parts.point.trained
    assert SchemeScore.of(pupil.logits(rows), source.labels).accuracy > 0.9
    assert len(heeded) >= 10 * 3
    pupil.relearn_top(rows[1::2])
    assert changed(learned, weights_of(network)) == {
        name for name in last if not name.endswith("norm")
    }
    scores = pupil.logits(rows)
    assert SchemeScore.of(scores, source.labels).accuracy > 0.9
    again = school.pupil(source.labels, 2, 0, lambda: None)  # from the start, and the same
    assert changed(start, weights_of(network)) == set()
    again.learn(rows[::2])
    again.relearn_top(rows[1::2])
    assert np.allclose(again.logits(rows), scores, atol=1e-3)


def test_the_papers_settings_hold_for_a_backbone() -> None:
    tuning = tuning_of(LearningRules())
    assert (tuning.optimizer, tuning.epochs, tuning.batch_size) == ("rmsprop", 5, 128)
    assert (tuning.learning_rate, tuning.schedule, tuning.warm_up) == (1e-4, "constant", 0)
