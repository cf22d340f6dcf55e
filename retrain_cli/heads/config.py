"""How a head is trained: the one place where the settings, their defaults and limits stand."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from retrain_cli.errors import ConfigError

Optimizer = Literal["adam", "sgd", "rmsprop", "adamax", "nadam", "adamw", "lbfgs"]
Sampling = Literal["balanced", "shuffled"]

OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)
OPTIMIZERS_WITH_EPSILON: frozenset[Optimizer] = frozenset(
    ("adam", "rmsprop", "adamax", "nadam", "adamw")
)
MOST_BATCH = 100_000  # a step of 2048 wide bottlenecks then takes 1 GB


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of one training; the defaults are those of the study.

    Attributes:
        steps: optimiser steps, one batch each; for lbfgs the most iterations.
        optimizer: name of the optimiser; lbfgs works on the full batch, to convergence.
        learning_rate: step size; lbfgs has none.
        epsilon: the optimiser's epsilon; ignored by those without one (sgd, lbfgs).
        batch_size: images in a step; lbfgs always takes all.
        testing_percentage: share of the images, in percent, kept for the test split.
        validation_percentage: share of the images, in percent, kept for the validation split.
        sampling: balanced picks a class first, then one of its images; shuffled goes through all.
        l2: weight decay; `l2 / 2 * sum(weights ** 2)` is added to the mean loss, biases left out.
        examples_per_class: train on at most this many images of each class; None for all.
        classes: train on these classes only; None for all.
        seed: seed of everything random.
        eval_every: steps between two evaluations; lbfgs evaluates each iteration.
        patience: stop after this many evaluations without improvement; None for never.
    """

    steps: int = 10_000
    optimizer: Optimizer = "adam"
    learning_rate: float = 0.01
    epsilon: float = 0.1
    batch_size: int = 100
    testing_percentage: float = 10.0
    validation_percentage: float = 10.0
    sampling: Sampling = "balanced"
    l2: float = 0.0
    examples_per_class: int | None = None
    classes: tuple[str, ...] | None = None
    seed: int = 0
    eval_every: int = 100
    patience: int | None = None

    def validate(self) -> TrainingConfig:
        """Return self.

        Raises:
            ConfigError: a setting, or two together, cannot work; the first that is found.
        """
        for complaint in self._complaints():
            raise ConfigError(complaint)
        return self

    def _complaints(self) -> Iterator[str]:
        yield from _not_one_of("--optimizer", self.optimizer, OPTIMIZERS)
        yield from _not_one_of("--sampling", self.sampling, SAMPLINGS)
        for name in ("steps", "batch_size", "eval_every", "examples_per_class", "patience"):
            yield from _not_at_least(name, getattr(self, name), 1)
        yield from _not_at_least("seed", self.seed, 0)
        if self.batch_size > MOST_BATCH:
            yield (
                f"--batch-size must be at most {MOST_BATCH}, not {self.batch_size}: "
                "--optimizer lbfgs takes all images at once"
            )
        for name in ("learning_rate", "epsilon"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                yield f"{_flag(name)} must be a number above 0, not {value}"
        if not (math.isfinite(self.l2) and self.l2 >= 0):
            yield f"--l2 must be a number of at least 0, not {self.l2}"
        yield from self._percentage_complaints()
        if self.classes is not None and len(set(self.classes)) < 2:
            yield f"--classes needs at least two different classes, not {len(set(self.classes))}"

    def _percentage_complaints(self) -> Iterator[str]:
        held_out = 0.0
        for name in ("testing_percentage", "validation_percentage"):
            value = getattr(self, name)
            held_out += value
            if not 0 <= value < 100:
                yield f"{_flag(name)} must be at least 0 and below 100, not {value:g}"
        if held_out >= 100:
            yield (
                "--testing-percentage and --validation-percentage must leave images to train on, "
                f"but add up to {held_out:g}: lower one of them"
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        values = dataclasses.asdict(self)
        values["classes"] = None if self.classes is None else list(self.classes)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The inverse of `to_dict`; settings that are missing take their default.

        Raises:
            ConfigError: a setting that does not exist, or a value that cannot work.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(f"no such training setting: {name!r}{_close(name, known)}")
        given = dict(values)
        if given.get("classes") is not None:
            given["classes"] = tuple(given["classes"])
        try:
            return cls(**given).validate()
        except TypeError as error:
            raise ConfigError(f"a training setting is of the wrong kind ({error})") from error


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _close(name: str, known: set[str]) -> str:
    matches = difflib.get_close_matches(name, sorted(known), n=1)
    return f", did you mean {matches[0]!r}?" if matches else ""


def _not_one_of(flag: str, value: str, allowed: tuple[str, ...]) -> Iterator[str]:
    if value not in allowed:
        yield f"{flag} takes one of {', '.join(allowed)}, not {value!r}"


def _not_at_least(name: str, value: int | None, least: int) -> Iterator[str]:
    if value is not None and value < least:
        yield f"{_flag(name)} must be at least {least}, not {value}"
