from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import OPTIMIZERS, SAMPLINGS, TrainingConfig


def test_the_defaults_are_those_of_the_study() -> None:
    config = TrainingConfig().validate()
    assert (config.steps, config.optimizer, config.learning_rate) == (10_000, "adam", 0.01)
    assert (config.epsilon, config.batch_size, config.sampling) == (0.1, 100, "balanced")
    assert (config.testing_percentage, config.validation_percentage) == (10, 10)


@given(
    config=st.builds(
        TrainingConfig,
        steps=st.integers(1, 10**6),
        optimizer=st.sampled_from(OPTIMIZERS),
        sampling=st.sampled_from(SAMPLINGS),
        l2=st.floats(0, 10),
        examples_per_class=st.none() | st.integers(1, 100),
        classes=st.none() | st.just(("cat", "犬")),
        patience=st.none() | st.integers(1, 5),
    )
)
def test_settings_survive_json(config: TrainingConfig) -> None:
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_the_usual_weight_decay_is_the_same_said_or_not() -> None:
    assert TrainingConfig(l2=0.0) == TrainingConfig()
    assert TrainingConfig(optimizer="lbfgs", l2=1e-4) == TrainingConfig(optimizer="lbfgs")
    assert TrainingConfig(optimizer="lbfgs").to_dict()["l2"] == 1e-4
    assert TrainingConfig(optimizer="lbfgs", l2=0.0).weight_decay == 0  # as older runs have it
    assert replace(TrainingConfig(), optimizer="lbfgs").weight_decay == 1e-4
    assert replace(TrainingConfig(l2=0.5), optimizer="lbfgs").weight_decay == 0.5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"steps": 0}, "steps"),
        ({"optimizer": "adagrad"}, "optimizer"),
        ({"sampling": "random"}, "sampling"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 10**9}, "batch_size must be at most 100000"),
        ({"l2": -0.1}, "l2"),
        ({"eval_every": 0}, "eval_every"),
        ({"patience": 0}, "patience"),
        ({"examples_per_class": 0}, "examples_per_class"),
        ({"seed": -1}, "seed"),
        ({"testing_percentage": 100}, "testing_percentage"),
        ({"validation_percentage": -1}, "validation_percentage"),
        ({"testing_percentage": 50, "validation_percentage": 50}, "add up to 100"),
        ({"classes": ("cat", "cat")}, "classes"),
        ({"hidden": (0,)}, "hidden.* 1 to 16384 units, not 0"),
        ({"hidden": (256, 10**9)}, "hidden.* not 1000000000"),
        ({"hidden": (8,) * 9}, "at most 8 layers, not 9"),
        ({"hidden": (8,), "activation": "rele"}, "activation.*did you mean relu"),
        ({"activation": "tanh"}, "there is none: add hidden"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": math.nan}, "dropout"),
        ({"head": "cosines"}, "head"),
        ({"normalise": "unit"}, "normalise"),
        ({"hidden": (8,), "optimizer": "lbfgs"}, "hidden.*optimizer"),
        ({"dropout": 0.5, "optimizer": "ridge"}, "dropout.*optimizer"),
        ({"head": "cosine", "optimizer": "auto"}, "head.*optimizer"),
    ],
)
def test_what_cannot_work_is_refused_by_its_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        TrainingConfig(**changes).validate()  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_misspelt_setting_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="did you mean 'learning_rate'"):
        TrainingConfig.from_dict({"learning_rat": 0.1})


def test_a_setting_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrong kind"):
        TrainingConfig.from_dict({"steps": "many"})


def test_settings_of_other_heads_are_said_only_where_there_are_any() -> None:
    usual = TrainingConfig()
    assert usual.is_usual_head
    assert not {"head", "hidden", "activation", "dropout", "normalise"} & usual.to_dict().keys()
    for changes in (
        {"head": "cosine"},
        {"hidden": (256, 128), "activation": "gelu"},
        {"dropout": 0.5},
        {"normalise": "l2", "optimizer": "ridge"},
    ):
        other = replace(usual, **changes)
        assert not other.is_usual_head
        values = json.loads(json.dumps(other.to_dict()))
        assert changes.keys() <= values.keys()
        assert TrainingConfig.from_dict(values) == other.validate()


def test_what_a_head_is_made_of_is_told_in_words() -> None:
    assert TrainingConfig().make == ()
    config = TrainingConfig(
        head="cosine", hidden=(256, 128), activation="gelu", dropout=0.5, normalise="standardise"
    )
    assert config.make == (
        "cosines",
        "hidden 256,128 gelu",
        "dropout 0.5",
        "bottlenecks standardised",
    )


def test_the_two_oldest_ways_to_balance_have_one_name_each() -> None:
    shuffled, balanced = TrainingConfig(sampling="shuffled"), TrainingConfig()
    assert TrainingConfig(balance="none") == shuffled
    assert TrainingConfig(balance="sampling") == balanced == TrainingConfig(sampling="balanced")
    assert [one.balancing for one in (shuffled, balanced)] == ["none", "sampling"]
    assert replace(shuffled, balance="sampling") == balanced
    assert TrainingConfig(balance="weights").sampling == "shuffled"


def test_settings_of_a_run_from_before_there_was_a_choice_of_balance() -> None:
    old = {"sampling": "shuffled", "steps": 5}
    assert TrainingConfig.from_dict(old).balancing == "none"
    assert not {"balance", "prior", "tau"} & TrainingConfig.from_dict(old).to_dict().keys()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"prior": "natural"}, "prior.*goes with"),
        ({"tau": 0.5, "balance": "weights"}, "tau.*goes with"),
        ({"tau": -1.0, "balance": "prior"}, "at least 0"),
        ({"tau": float("nan"), "balance": "prior"}, "at least 0"),
        ({"balance": "views", "views": 0}, "leave out"),
        ({"balance": "adasyn"}, "takes one of none, sampling"),
    ],
)
def test_what_cannot_balance_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainingConfig(**settings).validate()
