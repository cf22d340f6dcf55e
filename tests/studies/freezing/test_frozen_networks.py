"""What is trained of a small network, and what it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_photos
from small_networks import small_network

from retrain_cli.backbones.spec import BackboneSpec
from retrain_cli.errors import ConfigError
from retrain_cli.finetuning.freeze_points import choose_freeze_point
from retrain_cli.finetuning.parts import Parts
from retrain_cli.heads.data import HeadData
from retrain_cli.studies.freezing import frozen_networks
from retrain_cli.studies.freezing.early_stop import FreezeRules, train_until_stop
from retrain_cli.studies.freezing.frozen_networks import FreezeStart, FrozenNetworks

SPEC = BackboneSpec("mobilenet", input_size=32, weights="random", runtime="keras").resolve()
RULES = FreezeRules(learning_rate=0.05, epochs=3, batch_size=8)
BEFORE = FreezeStart("pretrained", "pre-trained", SPEC)
RANDOM = FreezeStart("random", "random", SPEC, is_random=True)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = make_photos(tmp_path_factory.mktemp("photos"), {"ant": 12, "bee": 12}, size=(32, 32))
    return sorted(root.rglob("*.png"))


@pytest.fixture
def networks(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> FrozenNetworks:
    monkeypatch.setattr(frozen_networks, "build_network", lambda spec: small_network(32))
    monkeypatch.setattr(
        Parts,
        "build",
        lambda spec, config: Parts(
            spec, made := small_network(32), choose_freeze_point(made, "all"), config
        ),
    )
    return FrozenNetworks(SPEC, photos, RULES)


def data_of() -> HeadData:
    labels = np.repeat(np.arange(2, dtype=np.int32), 12)
    rows = np.arange(24)
    training, validation = rows[rows % 3 < 2], rows[rows % 3 == 2]
    return HeadData(np.zeros((24, 1), np.float32), labels, ("ant", "bee"), training, validation)


def kernels(networks: FrozenNetworks) -> dict[str, Any]:
    return {
        layer.name: np.array(layer.get_weights()[0])
        for layer in networks._network.layers
        if layer.get_weights() and not layer.name.endswith("norm")
    }


@pytest.mark.parametrize(("pattern", "start"), [("last-block", BEFORE), ("first+last", RANDOM)])
def test_only_what_was_asked_for_learns(
    networks: FrozenNetworks, pattern: str, start: FreezeStart
) -> None:
    data = data_of()
    learner = networks.learner(pattern, start, data, 0, lambda: None)
    before, norm = kernels(networks), networks._network.get_layer("top_norm")
    statistics = np.array(norm.moving_variance.numpy())
    result = train_until_stop(learner, data, RULES.epochs, RULES.patience)
    after = kernels(networks)
    changed = {name for name in before if (before[name] != after[name]).any()}
    trained = choose_freeze_point(networks._network, pattern).trained
    assert changed == {name for name in trained if not name.endswith("norm")}
    assert result.rows[-1].loss < result.rows[0].loss
    np.testing.assert_array_equal(norm.moving_variance.numpy(), statistics)


def test_each_learner_begins_anew_and_random_weights_are_the_repeats_own(
    networks: FrozenNetworks,
) -> None:
    data = data_of()

    def losses(start: FreezeStart) -> list[float]:
        learner = networks.learner("last-block", start, data, 0, lambda: None)
        return [learner.learn(1)[0], learner.learn(2)[0]]

    def weights(start: FreezeStart, seed: int) -> Any:
        networks.learner("last-block", start, data, seed, lambda: None)
        return kernels(networks)["stem"]

    first = losses(BEFORE)
    losses(RANDOM)
    assert losses(BEFORE) == pytest.approx(first, abs=1e-5)
    assert np.array_equal(weights(BEFORE, 0), weights(BEFORE, 1))
    assert np.array_equal(weights(RANDOM, 1), weights(RANDOM, 1))
    assert not np.array_equal(weights(RANDOM, 0), weights(RANDOM, 1))


def test_random_weights_begin_with_the_statistics_of_photos(networks: FrozenNetworks) -> None:
    networks.learner("all", RANDOM, data_of(), 0, lambda: None)
    norm = networks._network.get_layer("stem_norm")
    assert norm.momentum == pytest.approx(0.99)
    assert not np.allclose(norm.moving_variance.numpy(), 1)


@pytest.mark.parametrize("room", [0, 20_000])
def test_where_memory_is_short_photos_are_decoded_anew(
    networks: FrozenNetworks, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Without room for pixels, nor for activations; or for activations alone."""
    data = data_of()
    rows = np.arange(24)
    held = networks.learner("last-block", BEFORE, data, 0, lambda: None).logits(rows)
    monkeypatch.setattr(frozen_networks, "available_memory", lambda: room)
    fresh = FrozenNetworks(SPEC, networks._paths, RULES)
    learner = fresh.learner("last-block", BEFORE, data, 0, lambda: None)
    np.testing.assert_allclose(learner.logits(rows), held, atol=1e-4)


def test_what_diverges_is_told(networks: FrozenNetworks) -> None:
    learner = networks.learner("last-block", BEFORE, data_of(), 0, lambda: None)
    learner.learn = lambda epoch: (float("nan"), 0.0)  # type: ignore[method-assign]
    with pytest.raises(ConfigError, match="in epoch 1 the loss is nan: lower"):
        train_until_stop(learner, data_of(), 3, 3)


def test_layers_that_do_not_exist(networks: FrozenNetworks) -> None:
    with pytest.raises(ConfigError, match="no layer is called"):
        networks.check("no_such")
