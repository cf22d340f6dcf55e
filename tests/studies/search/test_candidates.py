"""The combinations that are tried; scikit-learn is the oracle for those of a grid."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.model_selection import ParameterGrid

from retrain_cli.errors import ConfigError
from retrain_cli.heads.config import TrainingConfig
from retrain_cli.studies.search.axes import Choices, Space, read_axis
from retrain_cli.studies.search.candidates import BackboneFacts, Candidates, candidates
from retrain_cli.studies.search.spaces import SPACES

ONE = {"a": BackboneFacts(90)}


def space(**axes: str) -> Space:
    return {name: read_axis(name, text) for name, text in axes.items()}


def make(n_random: Any = None, backbones: Any = ONE, seed: Any = 0, **axes: str) -> Candidates:
    return candidates(space(**axes), TrainingConfig(seed=seed), backbones, n_random)


def test_a_grid_is_that_of_scikit_learn() -> None:
    axes = {"learning_rate": "0.001,0.01,0.1", "dropout": "0,0.5", "hidden": "none,8,8+4"}
    wanted = ParameterGrid(
        {name: axis.values for name, axis in space(**axes).items() if isinstance(axis, Choices)}
    )
    found = [{name: getattr(one.config, name) for name in axes} for one in make(**axes).found]
    assert len(found) == len(wanted) == 18
    assert all(one in found for one in wanted)


def test_combinations_that_train_refuses_are_left_out_and_counted() -> None:
    found = make(optimizer="adam,ridge,lbfgs", hidden="none,8")
    assert {(one.config.optimizer, one.config.hidden) for one in found.found} == {
        ("adam", ()), ("adam", (8,)), ("ridge", ()), ("lbfgs", ())
    }  # fmt: skip
    assert (found.senseless, found.alike) == (2, 0)
    assert "one softmax layer" in str(found.reason)


@pytest.mark.parametrize(
    ("axes", "left", "alike"),
    [
        ({"hidden": "none,8", "activation": "relu,tanh"}, 3, 1),
        ({"optimizer": "adam,lbfgs", "learning_rate": "0.1,1"}, 3, 1),
        ({"optimizer": "adam,sgd", "epsilon": "0.1,1"}, 3, 1),
        ({"optimizer": "ridge", "steps": "5,6", "batch_size": "5,6"}, 1, 3),
        ({"optimizer": "auto", "learning_rate": "0.1,1"}, 2, 0),
        ({"l2": "none,0"}, 1, 1),
        ({"optimizer": "ridge", "epochs": "5,6"}, 1, 1),
    ],
)
def test_equal_trainings_are_tried_once(axes: dict[str, str], left: int, alike: int) -> None:
    found = make(**axes)
    assert (len(found.found), found.alike, found.senseless) == (left, alike, 0)


def test_a_setting_that_does_nothing_is_told_as_nothing() -> None:
    found = make(optimizer="adam,lbfgs", learning_rate="0.1,1")
    assert [one.values["learning_rate"] for one in found.found] == [0.1, 1.0, None]


def test_nothing_that_makes_sense_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="one softmax layer"):
        make(optimizer="ridge", hidden="8,16")


def test_epochs_are_steps_of_whole_batches() -> None:
    found = make(epochs="10", batch_size="30,50")
    assert [one.config.steps for one in found.found] == [30, 18]


def test_each_backbone_has_its_own_epochs_and_views() -> None:
    facts = {"a": BackboneFacts(100), "b": BackboneFacts(200, views=3)}
    found = make(backbones=facts, epochs="1").found
    assert [(one.backbone, one.config.steps, one.config.views) for one in found] == [
        ("a", 1, 0),
        ("b", 2, 3),
    ]


def test_a_range_needs_chance_and_a_grid_has_an_end() -> None:
    with pytest.raises(ConfigError, match="one by one"):
        make(learning_rate="0.01..0.1")
    with pytest.raises(ConfigError, match="may have 100,000 combinations"):
        make(
            learning_rate=",".join(f"0.{n:03}" for n in range(1, 400)),
            epsilon=",".join(f"0.{n:03}" for n in range(1, 400)),
        )


def test_a_longer_random_search_begins_with_the_shorter_one() -> None:
    axes = {"learning_rate": "0.001..0.1", "hidden": "none,8,16", "dropout": "0..0.5"}
    short, long = (make(n, **axes).found for n in (7, 20))
    assert (len(short), long[:7]) == (7, short)
    other = make(7, seed=1, **axes).found
    assert [one.values for one in other] != [one.values for one in short]


def test_all_of_a_finite_space_are_drawn_once() -> None:
    axes = {"learning_rate": "0.001,0.01,0.1", "hidden": "none,8", "activation": "relu,tanh"}
    drawn, grid = make(50, **axes).found, make(**axes).found
    assert len(drawn) == len(grid) == 9
    assert {str(one.config) for one in drawn} == {str(one.config) for one in grid}


def test_a_narrow_range_has_no_more_than_it_has() -> None:
    assert len(make(30, steps="3..5").found) == 3


@pytest.mark.parametrize(("name", "count"), [("dense", 96), ("usual", 30)])
def test_the_ready_spaces_hold_what_is_told_of_them(name: Any, count: int) -> None:
    n_random = count if name == "usual" else None
    found = candidates(SPACES[name], TrainingConfig(), ONE, n_random)
    assert (len(found.found), found.senseless, found.alike) == (count, 0, 0)
