"""The settings that a search tries: every combination of values, or some that are drawn.

A combination that `train` would refuse, such as hidden layers with ridge, makes no sense and is
left out. So is one that is the same training as another, such as two activations of no hidden
layer.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from retrain_cli.errors import ConfigError, setting
from retrain_cli.heads.config import CLOSED, OPTIMIZERS_WITH_EPSILON, TrainingConfig
from retrain_cli.studies.search.axes import BACKBONE, EPOCHS, Axis, Choices, Space, Span

MOST_COMBINATIONS = 100_000
_MOST_DRAWS = 100
"""For each trial that is wanted: where nearly all combinations are alike, there are no more."""

_IDLE: dict[str, tuple[str, ...]] = {
    "ridge": ("steps", "learning_rate", "epsilon", "batch_size"),
    "lbfgs": ("learning_rate", "epsilon", "batch_size"),
}
"""Settings that do nothing with an optimiser."""


@dataclass(frozen=True)
class Candidate:
    """One combination.

    Attributes:
        backbone: fingerprint of the backbone.
        config: the settings of the head.
        values: what was chosen of each axis, by its name; of settings that do nothing here, None.
    """

    backbone: str
    config: TrainingConfig
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Candidates:
    """What there is to try.

    Attributes:
        found: the combinations, each another training.
        senseless: how many were left out because `train` would refuse them.
        alike: how many were left out because they are the same training as another.
        reason: why the first senseless one is refused; None where there is none.
    """

    found: tuple[Candidate, ...]
    senseless: int
    alike: int
    reason: ConfigError | None = None


@dataclass(frozen=True)
class BackboneFacts:
    """What settings depend on: see `candidates`.

    Attributes:
        n_training: number of training photos, which an epoch goes through.
        views: distorted views that are trained on where no number is named.
    """

    n_training: int
    views: int = 0


def candidates(
    space: Space,
    fixed: TrainingConfig,
    backbones: Mapping[str, BackboneFacts],
    n_random: int | None = None,
) -> Candidates:
    """The combinations of a grid, or so many that are drawn from the space.

    A longer random search begins with the trials of a shorter one.

    Args:
        space: an axis for each setting that is varied.
        fixed: all other settings; its seed draws the combinations, too.
        backbones: what is known of each backbone, by its fingerprint.
        n_random: how many to draw; None for all combinations.

    Raises:
        ConfigError: a grid with a range in it or of more than 100,000 combinations, or none that
            makes sense.
    """
    whole = {BACKBONE: Choices(tuple(backbones)), **space}
    combinations = _grid(whole) if n_random is None else _drawn(whole, fixed.seed)
    found: dict[tuple[str, TrainingConfig], Candidate] = {}
    senseless = alike = 0
    reason: ConfigError | None = None
    most = None if n_random is None else _MOST_DRAWS * n_random
    for values in itertools.islice(combinations, most):
        try:
            one = _candidate(values, fixed, backbones)
        except ConfigError as error:
            senseless, reason = senseless + 1, reason or error
            continue
        key = (one.backbone, one.config)
        alike += key in found
        found.setdefault(key, one)
        if len(found) == n_random:
            break
    if not found:
        assert reason is not None  # there is a combination, and it was refused
        raise reason
    return Candidates(tuple(found.values()), senseless, alike, reason)


def _grid(space: Space) -> Iterator[dict[str, Any]]:
    """Every combination; the last axis changes first."""
    for name, axis in space.items():
        if isinstance(axis, Span):
            raise ConfigError(
                f"a grid takes the values of {setting(name)} one by one, and a range has no end of "
                f"them: list some, or add {setting('random', 40)}"
            )
    if (count := _count(space)) > MOST_COMBINATIONS:
        raise ConfigError(
            f"a grid may have {MOST_COMBINATIONS:,} combinations, not {count:,}: name fewer values,"
            f" or add {setting('random', 40)}"
        )
    return _combinations(space)


def _combinations(space: Space) -> Iterator[dict[str, Any]]:
    lists = [axis.values for axis in space.values() if isinstance(axis, Choices)]
    return (dict(zip(space, values, strict=True)) for values in itertools.product(*lists))


def _count(space: Space) -> int:
    """How many combinations there are of the axes that are lists."""
    return math.prod(len(axis.values) for axis in space.values() if isinstance(axis, Choices))


def _drawn(space: Space, seed: int) -> Iterator[dict[str, Any]]:
    """Combinations by chance: without an end where there are ranges, else each one once."""
    generator = np.random.default_rng(seed)
    is_finite = all(isinstance(axis, Choices) for axis in space.values())
    if is_finite and _count(space) <= MOST_COMBINATIONS:
        every = list(_combinations(space))
        for number in generator.permutation(len(every)).tolist():
            yield every[number]
        return
    while True:
        places = generator.random(len(space)).tolist()
        yield {
            name: _at(axis, place)
            for (name, axis), place in zip(space.items(), places, strict=True)
        }


def _at(axis: Axis, place: float) -> Any:
    if isinstance(axis, Span):
        return axis.at(place)
    return axis.values[int(place * len(axis.values))]


def _candidate(
    values: Mapping[str, Any], fixed: TrainingConfig, backbones: Mapping[str, BackboneFacts]
) -> Candidate:
    """The settings of a combination; ConfigError where `train` would refuse them."""
    facts = backbones[values[BACKBONE]]
    said = {name: value for name, value in values.items() if name != BACKBONE}
    epochs = said.pop(EPOCHS, None)
    config = replace(fixed, **said)
    if epochs is not None:
        steps = math.ceil(epochs * facts.n_training / config.batch_size)
        config = replace(config, steps=max(1, steps))
    if config.views is None:
        config = replace(config, views=0 if config.optimizer in CLOSED else facts.views)
    idle = idle_settings(config)
    config = _without(config, idle).validate()
    if "steps" in idle:
        idle = (*idle, EPOCHS)
    told = {name: None if name in idle else value for name, value in values.items()}
    return Candidate(values[BACKBONE], config, told)


def idle_settings(config: TrainingConfig) -> tuple[str, ...]:
    """The settings that do nothing beside the others."""
    idle = _IDLE.get(config.optimizer, ())
    if config.optimizer not in (*OPTIMIZERS_WITH_EPSILON, "auto") and "epsilon" not in idle:
        idle = (*idle, "epsilon")
    return idle if config.hidden else (*idle, "activation")


def _without(config: TrainingConfig, idle: tuple[str, ...]) -> TrainingConfig:
    """The settings with those that do nothing as usual: equal trainings then are equal."""
    usual = TrainingConfig()
    changes: dict[str, Any] = {name: getattr(usual, name) for name in idle}
    return replace(config, **changes)
